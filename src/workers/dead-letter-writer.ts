import { idProblem } from "../domain/validation.ts";
import type { DeadLetters } from "../ports/dead-letters.ts";
import { DeadLettersFullError, QueueUnavailableError, StoreUnavailableError } from "../ports/errors.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import type { DeadLetterLog } from "./dead-letter-log.ts";
import { isErased, type PlannedDeadLetter } from "./dead-letters.ts";
import type { SharedLock } from "./shared-lock.ts";

/**
 * Letters of one `add`. A pull of nothing but junk has a hundred thousand: written as one they would stand in front of
 * every mutation that waits for the same disk.
 */
const LETTERS_PER_ADD = 100;

const OUTAGES = [DeadLettersFullError, QueueUnavailableError, StoreUnavailableError];

/** Writes dead letters, a few at a time, and tells of each message as its dead letters land. Never throws. */
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

/** Only who has an id that a user may have can have been erased. */
function userIdsOf({ letter: { userId } }: PlannedDeadLetter): string[] {
  return userId === null || idProblem(userId) !== null ? [] : [userId];
}

async function failureOf(promise: Promise<void>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error ?? new Error("unknown"),
  );
}
