import { setTimeout as sleep } from "node:timers/promises";
import { within } from "../common/waiting.ts";
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
  /** A flag and no AbortSignal: aborting captures a stack, on every message. */
  async function attempts(message: OutgoingMessage, deadline: { isOver: boolean }): Promise<void> {
    for (;;) {
      try {
        return await deps.queue.publish(message);
      } catch (error) {
        if (!(error instanceof QueueUnavailableError) || deadline.isOver) throw error;
      }
      await sleep(RETRY_DELAY_MS);
      if (deadline.isOver) return;
    }
  }

  return async (message) => {
    const deadline = { isOver: false };
    try {
      await within(deps.timeoutMs, attempts(message, deadline), () => {
        throw new QueueUnavailableError(`the queue did not confirm within ${deps.timeoutMs} ms`);
      });
    } finally {
      deadline.isOver = true;
    }
  };
}
