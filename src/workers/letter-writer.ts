import type { DeadLetters } from "../ports/dead-letters.ts";
import { DeadLettersFullError, QueueUnavailableError } from "../ports/errors.ts";
import type { LetterLog } from "./letter-log.ts";
import type { PlannedLetter } from "./letters.ts";
import type { Turnstile } from "./turnstile.ts";

/**
 * Letters of one `add`. A pull of nothing but junk has a hundred thousand: written as one they would stand in front of
 * every mutation that waits for the same disk.
 */
const LETTERS_PER_ADD = 100;

/** Writes dead letters, a few at a time, and tells of each message as its letters land. Never throws. */
export async function writeLetters(
  letters: readonly PlannedLetter[],
  deps: {
    readonly deadLetters: DeadLetters;
    readonly turnstile: Pick<Turnstile, "together">;
    readonly log: Pick<LetterLog, "failed">;
    readonly landed: (letter: PlannedLetter) => void;
    readonly failed: (letter: PlannedLetter) => void;
  },
): Promise<void> {
  for (let start = 0; start < letters.length; start += LETTERS_PER_ADD) {
    const chunk = letters.slice(start, start + LETTERS_PER_ADD);
    const add = () => deps.deadLetters.add(chunk.map(({ letter }) => letter));
    const error = await failureOf(deps.turnstile.together(add));
    if (error === null) {
      for (const letter of chunk) deps.landed(letter);
      continue;
    }
    // The messages stay in the queue: nothing is lost.
    const isOutage = error instanceof DeadLettersFullError || error instanceof QueueUnavailableError;
    const failed = isOutage ? letters.slice(start) : chunk;
    deps.log.failed(error, failed.length, chunk[0]?.delivery.sequence);
    for (const letter of failed) deps.failed(letter);
    // Full or unreachable: the rest would fare no better.
    if (isOutage) return;
  }
}

async function failureOf(promise: Promise<void>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error ?? new Error("unknown"),
  );
}
