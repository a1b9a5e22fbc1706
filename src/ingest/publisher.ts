import { setTimeout as sleep } from "node:timers/promises";
import { QueueUnavailableError } from "../ports/errors.ts";
import type { ImpressionQueue, OutgoingMessage } from "../ports/impression-queue.ts";

const RETRY_DELAY_MS = 100;

/**
 * Publishes a message within a deadline. An attempt that was not confirmed is repeated with the same id, which the
 * queue stores once.
 *
 * @throws QueueFullError, QueueUnavailableError (also when the deadline passes; the message may be stored).
 */
export function createPublisher(deps: {
  readonly queue: ImpressionQueue;
  /** For all attempts together. */
  readonly timeoutMs: number;
}): (message: OutgoingMessage) => Promise<void> {
  async function attempts(message: OutgoingMessage, deadline: AbortSignal): Promise<void> {
    for (;;) {
      try {
        return await deps.queue.publish(message);
      } catch (error) {
        if (!(error instanceof QueueUnavailableError) || deadline.aborted) throw error;
      }
      await sleep(RETRY_DELAY_MS);
      if (deadline.aborted) return;
    }
  }

  return async (message) => {
    const deadline = new AbortController();
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      deadline.abort();
      late.reject(new QueueUnavailableError(`the queue did not confirm within ${deps.timeoutMs} ms`));
    }, deps.timeoutMs);
    try {
      await Promise.race([attempts(message, deadline.signal), late.promise]);
    } finally {
      clearTimeout(timer);
      deadline.abort();
    }
  };
}
