/**
 * Who began to try a message alone and never ended: what tells a message that kills its worker from one that was only
 * delivered often.
 *
 * Promises, held by test/contract/queue: a list is durable once `write` resolves, and stays until it is replaced, its
 * message is settled, or a week has passed. It may be forgotten earlier (a bucket that is full drops the oldest): the
 * message then gets another try, and nothing is lost.
 */
export interface Attempts {
  /**
   * The workers that began to try this message and have not ended, oldest first.
   *
   * @throws QueueUnavailableError
   */
  read(sequence: number): Promise<readonly string[]>;

  /**
   * Replaces them; an empty list forgets the message.
   *
   * @throws QueueUnavailableError not confirmed: it may have been replaced.
   */
  write(sequence: number, workers: readonly string[]): Promise<void>;
}
