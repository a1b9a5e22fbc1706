import type { DeadLetterReason } from "../domain/dead-letter.ts";
import { DAY_MS } from "../domain/time.ts";
import { idProblem } from "../domain/validation.ts";
import type { DeadLetters } from "../ports/dead-letters.ts";
import { DeadLettersFullError, QueueUnavailableError, StoreUnavailableError } from "../ports/errors.ts";
import type { Delivery } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import { isErased, type PlannedDeadLetter } from "./dead-letters.ts";
import type { SharedLock } from "./shared-lock.ts";

/**
 * Letters of one `add`. A pull of nothing but junk has a hundred thousand: written as one they would stand in front of
 * every mutation that waits for the same disk.
 */
const LETTERS_PER_ADD = 100;

const OUTAGES = [DeadLettersFullError, QueueUnavailableError, StoreUnavailableError];

/** Writes dead letters, a few at a time, and reports each one as it lands. Never throws. */
export async function writeDeadLetters(
  letters: readonly PlannedDeadLetter[],
  deps: {
    readonly deadLetters: DeadLetters;
    readonly lock: Pick<SharedLock, "shared">;
    /** See ImpressionStore. */
    readonly erasedThrough: ImpressionStore["erasedThrough"];
    readonly log: Pick<DeadLetterLog, "failed">;
    /** Nothing is written: the dead letter's user was erased since. */
    readonly forgotten: (letter: PlannedDeadLetter) => void;
    readonly landed: (letter: PlannedDeadLetter) => void;
    readonly failed: (letter: PlannedDeadLetter) => void;
  },
): Promise<void> {
  for (let start = 0; start < letters.length; start += LETTERS_PER_ADD) {
    const chunk = letters.slice(start, start + LETTERS_PER_ADD);
    const error = await failureOf(deps.lock.shared(() => write(chunk)));
    if (error === null) continue;
    // The messages stay in the queue: nothing is lost.
    const isOutage = OUTAGES.some((Outage) => error instanceof Outage);
    const failed = isOutage ? letters.slice(start) : chunk;
    deps.log.failed(error, failed.length, chunk[0]?.delivery.sequence);
    for (const letter of failed) deps.failed(letter);
    // Full or unreachable: the rest would fare no better.
    if (isOutage) return;
  }

  async function write(chunk: readonly PlannedDeadLetter[]): Promise<void> {
    const erasedThrough = await deps.erasedThrough([...new Set(chunk.flatMap(userIdsOf))]);
    const { forgotten = [], kept = [] } = Object.groupBy(chunk, (planned) =>
      isErased(planned, erasedThrough) ? "forgotten" : "kept",
    );
    if (kept.length > 0) await deps.deadLetters.add(kept.map(({ letter }) => letter));
    for (const planned of forgotten) deps.forgotten(planned);
    for (const planned of kept) deps.landed(planned);
  }
}

/** Of an id that no user may have nothing was erased. */
function userIdsOf({ letter: { userId } }: PlannedDeadLetter): string[] {
  return userId === null || idProblem(userId) !== null ? [] : [userId];
}

async function failureOf(promise: Promise<void>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error ?? new Error("unknown"),
  );
}

/**
 * Letters of rejected impressions that one user gets in a day, in each worker process. With LETTER_BYTES_MAX that is at most
 * 4 MB; DEAD_LETTER_MAX_BYTES holds 250 such user's days.
 */
export const DEAD_LETTERS_PER_USER_MAX = 1_000;
const WINDOW_MS = DAY_MS;
/** Users with a remembered window; the one whose window began first is forgotten, and has a new budget then. */
const USERS_MAX = 10_000;

/**
 * Keeps one sender of junk from filling the dead letters, for which all erasures would have to wait. Once so many dead letters of
 * a user are stored, further rejected impressions are counted, and only some get a dead letter, to show that they go on and how
 * many there are: the 1,000th, 2,000th, 4,000th and so on. No impression is only counted before letters of its user are
 * stored, so that nothing disappears without a trace that lasts.
 *
 *   within budget ----> DEAD_LETTERS_PER_USER_MAX are stored ----> beyond: counted, but for the 1,000th, 2,000th, 4,000th ...
 *         ^                                                          |
 *         +------------------ a day after the first one ------------+
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

/** Between two lines: junk comes in thousands of messages, and one line says as much. */
const SUMMARY_INTERVAL_MS = 10_000;
/** Messages that a line names. */
const SEQUENCES_MAX = 10;

/** What became of the bad impressions of a pull. */
export interface DeadLetterCounters {
  readonly deadLettered: number;
  /** Of these, those that are counted and have no dead letter of their own. */
  readonly omitted: number;
  /** Messages nacked. */
  readonly nacked: number;
  readonly reasons: Readonly<Partial<Record<DeadLetterReason, number>>>;
  /** Messages with something dead-lettered in them, by their place in the stream. */
  readonly sequences: readonly number[];
}

/**
 * Says in the log what the workers dead-letter, and that they cannot: the first time at once, and then, every 10 s for as
 * long as there is any, how much more there was.
 */
export interface DeadLetterLog {
  deadLettered(counts: DeadLetterCounters): void;
  failed(error: unknown, letters: number, sequence: number | undefined): void;
  /** Says now what has not been said. */
  close(): void;
}

export function createDeadLetterLog(logger: Logger): DeadLetterLog {
  const deadLettered = createSummary<DeadLetterCounters>(sumOf, (counts) =>
    logger.warn(sumOf(NONE, counts), "impressions were dead-lettered"),
  );
  const failed = createSummary<{ err: unknown; letters: number; sequence: number | undefined }>(
    (a, b) => ({ ...b, letters: a.letters + b.letters }),
    (failure) => logger.error(failure, "dead letters could not be written"),
  );
  return {
    deadLettered: deadLettered.add,
    failed: (err, letters, sequence) => failed.add({ err, letters, sequence }),
    close() {
      deadLettered.close();
      failed.close();
    },
  };
}

const NONE: DeadLetterCounters = { deadLettered: 0, omitted: 0, nacked: 0, reasons: {}, sequences: [] };

function sumOf(a: DeadLetterCounters, b: DeadLetterCounters): DeadLetterCounters {
  const reasons = { ...a.reasons };
  for (const [reason, count] of Object.entries(b.reasons) as [DeadLetterReason, number][])
    reasons[reason] = (reasons[reason] ?? 0) + count;
  return {
    deadLettered: a.deadLettered + b.deadLettered,
    omitted: a.omitted + b.omitted,
    nacked: a.nacked + b.nacked,
    reasons,
    sequences: [...a.sequences, ...b.sequences].slice(0, SEQUENCES_MAX),
  };
}

/** Says the first one at once and the sum of those that follow every SUMMARY_INTERVAL_MS, until there are none. */
function createSummary<Item>(sum: (a: Item, b: Item) => Item, say: (item: Item) => void) {
  let unsaid: Item | null = null;
  let timer: NodeJS.Timeout | null = null;

  function summarize(): void {
    timer = null;
    if (unsaid === null) return;
    const said = unsaid;
    unsaid = null;
    sayNow(said);
  }

  function sayNow(item: Item): void {
    say(item);
    timer = setTimeout(summarize, SUMMARY_INTERVAL_MS);
    timer.unref();
  }

  return {
    add(item: Item): void {
      if (timer === null) sayNow(item);
      else unsaid = unsaid === null ? item : sum(unsaid, item);
    },
    close(): void {
      if (timer !== null) clearTimeout(timer);
      summarize();
      if (timer !== null) clearTimeout(timer);
    },
  };
}

/** Messages of which it is remembered; the one that was remembered first is forgotten. Two numbers each. */
const MESSAGES_MAX = 20_000;

/**
 * Remembers messages whose valid views are all stored, and that went back to the queue for a dead letter alone: while the
 * dead letters are full they come again and again, and there is nothing left to store. In memory: what is forgotten, or comes to
 * another process, is stored once more, which changes nothing.
 */
export interface StoredParts {
  remember(delivery: Delivery): void;
  has(delivery: Delivery): boolean;
  /** The message is acked. */
  forget(delivery: Delivery): void;
}

export function createStoredParts(): StoredParts {
  // By both: a stream that was deleted and made anew counts from 1 again, and what it brings is stored nowhere.
  const publishedAtMs = new Map<number, number>();
  return {
    remember(delivery) {
      publishedAtMs.set(delivery.sequence, delivery.publishedAtMs);
      if (publishedAtMs.size <= MESSAGES_MAX) return;
      const [first] = publishedAtMs.keys();
      if (first !== undefined) publishedAtMs.delete(first);
    },
    has: (delivery) => publishedAtMs.get(delivery.sequence) === delivery.publishedAtMs,
    forget: (delivery) => void publishedAtMs.delete(delivery.sequence),
  };
}
