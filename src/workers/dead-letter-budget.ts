import { DAY_MS } from "../domain/time.ts";
import type { PlannedDeadLetter } from "./dead-letters.ts";

/**
 * Letters of rejected impressions that one user gets in a day, in each worker process. With LETTER_BYTES_MAX that is at most
 * 4 MB; DEAD_LETTER_MAX_BYTES holds 250 such user's days.
 */
export const DEAD_LETTERS_PER_USER_MAX = 1_000;
const WINDOW_MS = DAY_MS;
/** Users of whom it is remembered; the one whose window began first is forgotten, and has a new budget then. */
const USERS_MAX = 10_000;

/**
 * Keeps one sender of junk from filling the dead letters, for which all erasures would have to wait. Once so many dead letters of
 * a user are stored, further rejected impressions are counted, and only some get a dead letter, to show that they go on and how
 * many there are: the 1,000th, 2,000th, 4,000th and so on. No impression is only counted before letters of its user are
 * stored, so that nothing disappears without a trace that lasts.
 *
 * Only for what `judge` rejects, which stays wrong. What the store refuses, what kills workers and what cannot be read always
 * has a dead letter: it may be put back with success. So has what an operator put back, whose letter is deleted for that.
 */
export interface DeadLetterBudget {
  /** @returns the dead letter to write, which may say how many it stands for; null where the impression is only counted. */
  admit(planned: PlannedDeadLetter): PlannedDeadLetter | null;
  /** A dead letter of `admit` is stored. */
  stored(planned: PlannedDeadLetter): void;
}

interface Window {
  readonly sinceMs: number;
  stored: number;
  beyond: number;
}

export function createDeadLetterBudget(monotonicMs: () => number): DeadLetterBudget {
  const windows = new Map<string | null, Window>();

  function windowOf(userId: string | null): Window {
    const nowMs = monotonicMs();
    const known = windows.get(userId);
    if (known !== undefined && nowMs - known.sinceMs < WINDOW_MS) return known;
    const window: Window = { sinceMs: nowMs, stored: 0, beyond: 0 };
    windows.delete(userId);
    windows.set(userId, window);
    if (windows.size > USERS_MAX) {
      const [oldest] = windows.keys();
      if (oldest !== undefined) windows.delete(oldest);
    }
    return window;
  }

  return {
    admit(planned) {
      const { letter } = planned;
      if (!isBudgeted(planned)) return planned;
      const window = windowOf(letter.userId);
      if (window.stored < DEAD_LETTERS_PER_USER_MAX) return planned;
      window.beyond++;
      if (!isPowerOfTwo(window.beyond / DEAD_LETTERS_PER_USER_MAX)) return null;
      const detail = `one of ${window.beyond} more that were rejected for this user within a day and have no letter: ${letter.detail}`;
      return { ...planned, letter: { ...letter, detail } };
    },

    stored(planned) {
      if (isBudgeted(planned)) windowOf(planned.letter.userId).stored++;
    },
  };
}

function isBudgeted({ letter: { reason }, isReplay }: PlannedDeadLetter): boolean {
  if (isReplay === true) return false;
  return reason !== "REJECTED_BY_STORE" && reason !== "CRASHED_WORKER" && reason !== "UNREADABLE_MESSAGE";
}

function isPowerOfTwo(ratio: number): boolean {
  return Number.isInteger(Math.log2(ratio)) && ratio >= 1;
}
