import type { Clock } from "../domain/time.ts";
import { QueueUnavailableError } from "../ports/errors.ts";
import type { ImpressionQueue } from "../ports/impression-queue.ts";
import { createBackoff, createStallWatch, STALL_MS_MAX } from "./backoff.ts";
import { TransferStalledError } from "./errors.ts";

/** The longest wait before the queue is asked again. */
const POLL_MS_MAX = 500;

/**
 * Resolves once the workers have acked everything that was in the queue when this was called: from then on it can
 * be read from the store (or stands among the dead letters).
 *
 * @param options.onWaiting called with the number of waiting messages whenever the queue was asked.
 * @throws TransferStalledError nothing was acked for a long time.
 */
export async function untilDrained(options: {
  readonly queue: Pick<ImpressionQueue, "newestSequence" | "isAckedThrough" | "stats">;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onWaiting?: (pending: number) => void;
  readonly stallMsMax?: number;
}): Promise<void> {
  const { queue, signal } = options;
  const watch = createStallWatch(options.stallMsMax ?? STALL_MS_MAX, options.clock);
  const backoff = createBackoff(POLL_MS_MAX);
  let newest: number | null = null;
  let fewest = Number.POSITIVE_INFINITY;
  for (;;) {
    try {
      newest ??= await queue.newestSequence();
      if (await queue.isAckedThrough(newest)) return;
      const { pending } = await queue.stats();
      if (pending < fewest) watch.progressed();
      fewest = Math.min(fewest, pending);
      options.onWaiting?.(pending);
    } catch (error) {
      if (!(error instanceof QueueUnavailableError)) throw error;
    }
    watch.stuck();
    if (watch.isOver()) {
      throw new TransferStalledError(
        `the workers stored nothing for ${watch.stallSeconds} s; what was accepted is safe in the queue`,
      );
    }
    await backoff.wait(signal);
  }
}
