import type { DeadLetter, DeadLetterReason } from "../domain/dead-letter.ts";

/**
 * What was acknowledged and could not be stored, kept for DEAD_LETTER_DAYS for a person to look at, put back or
 * discard.
 *
 * Promises, held by test/contract/queue: a dead letter is durable once `add` resolves; its id makes it unique, however
 * often it is added; nothing but `remove` and the retention takes it away.
 */
export interface DeadLetters {
  /**
   * Stores dead letters; those whose id is stored already are left as they are.
   *
   * @throws DeadLettersFullError the byte limit is reached; none of these dead letters is stored.
   * @throws QueueUnavailableError no confirmation; add them again.
   */
  add(letters: readonly DeadLetter[]): Promise<void>;

  /** Letters that match, newest first, each once. May hold fewer than `limit`, even none, while `next` is not null. */
  page(request: DeadLetterPageRequest): Promise<DeadLetterPage>;

  /** Removes dead letters by id; unknown ids are passed over. @returns how many were there. */
  remove(ids: readonly string[]): Promise<number>;

  count(): Promise<number>;
}

/** Every given condition must hold; null and an absent condition hold always. */
export interface DeadLetterFilter {
  readonly ids?: readonly string[] | null;
  readonly reason?: DeadLetterReason | null;
  readonly userId?: string | null;
  /** Half-open window of failedAt. */
  readonly sinceMs?: number | null;
  readonly untilMs?: number | null;
}

export interface DeadLetterPageRequest {
  readonly filter: DeadLetterFilter;
  /** Go on below this sequence; null from the newest. */
  readonly before: number | null;
  readonly limit: number;
  /** Also those whose days are over, where they still lie there: what erases has to find them. Left out: not. */
  readonly includesExpired?: boolean;
}

export interface StoredDeadLetter extends DeadLetter {
  /** Place in the order of arrival: positive, increasing. */
  readonly sequence: number;
}

export interface DeadLetterPage {
  readonly deadLetters: readonly StoredDeadLetter[];
  /** Pass as `before` to go on; null when there is nothing older. */
  readonly next: number | null;
}
