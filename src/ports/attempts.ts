/**
 * Attempt records: which workers began an isolated attempt at a message and did not end it. They tell a message that kills its
 * worker from one that was only delivered often.
 *
 * Promises, held by test/contract/queue: a list is durable once `write` resolves, and stays until it is replaced, its
 * message is acked, or a week has passed. It may be forgotten earlier (a bucket that is full drops the oldest): the
 * message then gets another attempt, and nothing is lost.
 */
export interface Attempts {
  /**
   * The workers that began an isolated attempt at this message and have not ended it, oldest first.
   *
   * @throws QueueUnavailableError
   */
  read(sequence: number): Promise<readonly string[]>;

  /**
   * Replaces the message's attempt record; an empty list deletes it.
   *
   * @throws QueueUnavailableError not confirmed: it may have been replaced.
   */
  write(sequence: number, workers: readonly string[]): Promise<void>;
}
