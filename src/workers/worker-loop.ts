import type { Delivery, ImpressionQueue } from "../ports/impression-queue.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { AdaptiveLimit } from "./adaptive-limit.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import { createWorkerCounters, type WorkerCounters } from "./counters.ts";
import type { DeadLetterLog } from "./dead-letter-writer.ts";
import type { InFlightBuffer, Room } from "./in-flight-buffer.ts";
import { handlePull, type PullHandlerDeps } from "./pull-handler.ts";

/** How long a loop waits for what it pulled before it pulls beside it. */
const PULL_STALL_MS = 1_000;
/** How long one pull waits for a first message before it asks again. */
const PULL_WAIT_MS = 5_000;
const PULL_RETRY_DELAY_MS_MIN = 200;
const PULL_RETRY_DELAY_MS_MAX = 10_000;

/**
 * One worker: pulls and handles, again and again.
 *
 *   waiting for room ----> waiting for the store ----> pulling ----> handling ----> (complete, or stalled for a second)
 *      ^                                                  |                                |
 *      +--------------------------------------------------+--------------------------------+
 *                        (nothing came, or an error and a delay)
 *
 * A pull that stalls is handled on beside the next ones.
 */
export interface WorkerLoop {
  readonly counters: WorkerCounters;
  /** Whether a pull is not complete. */
  isWorking(): boolean;
  /** Resolves when the worker stops; pulls may still be handled then. Never rejects. */
  run(): Promise<void>;
  /** Resolves when no pull is handled any more. */
  idle(): Promise<void>;
}

export function createWorkerLoop(deps: {
  readonly queue: Pick<ImpressionQueue, "pull">;
  readonly inFlight: Pick<InFlightBuffer, "reserve" | "take">;
  readonly breaker: Pick<CircuitBreaker, "closed">;
  readonly limit: Pick<AdaptiveLimit, "isBusy">;
  /** Keeps what is not for the common flow. @returns the rest. */
  readonly sortOut: (deliveries: readonly Delivery[]) => readonly Delivery[];
  readonly pull: PullHandlerDeps;
  readonly deadLetterLog: DeadLetterLog;
  readonly stopping: AbortSignal;
  readonly sleep: (delayMs: number) => Promise<void>;
  readonly random: () => number;
  readonly logger: Logger;
}): WorkerLoop {
  const { queue, inFlight, breaker, stopping, sleep, logger } = deps;
  const counters = createWorkerCounters();
  const pulls = new Set<Promise<void>>();

  /** Pulls into the reserved room once the store may be used. */
  async function pullInto(room: Room): Promise<readonly Delivery[]> {
    let deliveries: readonly Delivery[] = [];
    try {
      await breaker.closed(stopping);
      if (!stopping.aborted) {
        deliveries = await queue.pull({ ...room, waitMs: PULL_WAIT_MS, signal: stopping });
      }
      return deliveries;
    } finally {
      inFlight.take(room, deliveries);
    }
  }

  async function handle(deliveries: readonly Delivery[]): Promise<void> {
    counters.pulls++;
    counters.messages += deliveries.length;
    counters.redeliveries += deliveries.filter((delivery) => delivery.deliveries > 1).length;
    const became = await handlePull(deps.sortOut(deliveries), deps.pull, counters);
    const { stored, deadLettered, expired } = became;
    if (deadLettered > 0) deps.deadLetterLog.deadLettered(became);
    if (expired > 0)
      logger.info({ stored, deadLettered, expired }, "impressions expired while they waited in the queue");
  }

  return {
    counters,
    isWorking: () => pulls.size > 0,
    async run() {
      let retryDelayMs = PULL_RETRY_DELAY_MS_MIN;
      for (;;) {
        const room = await inFlight.reserve();
        if (room === null) return;
        try {
          const deliveries = await pullInto(room);
          retryDelayMs = PULL_RETRY_DELAY_MS_MIN;
          if (deliveries.length === 0) continue;
          const handled = handle(deliveries).finally(() => pulls.delete(handled));
          pulls.add(handled);
          do await Promise.race([handled, sleep(PULL_STALL_MS)]);
          while (pulls.has(handled) && deps.limit.isBusy() && !stopping.aborted);
        } catch (error) {
          logger.warn({ err: error, retryDelayMs }, "could not pull from the queue");
          await sleep(retryDelayMs * (0.5 + deps.random() / 2));
          retryDelayMs = Math.min(retryDelayMs * 2, PULL_RETRY_DELAY_MS_MAX);
        }
      }
    },
    async idle() {
      await Promise.all(pulls);
    },
  };
}
