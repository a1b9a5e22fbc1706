import { setTimeout as sleepUnaborted } from "node:timers/promises";
import type { Clock } from "../domain/time.ts";
import type { ImpressionQueue } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import { WORKER_REPORT_INTERVAL_MS, type WorkerBoard, type WorkerReport } from "../ports/worker-board.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createBreaker } from "./breaker.ts";
import { createConcurrencyLimit } from "./concurrency.ts";
import { handlePull, type PullHandlerDeps } from "./pull-handler.ts";

/**
 * Bytes that the loops of one process may have pulled at once, shared evenly. In memory a pull becomes some twenty times
 * its bytes; 4 MiB is about 40,000 impressions, far more than the batches need to fill up.
 */
const PULLED_BYTES_MAX = 4 * 1024 * 1024;
/** How long one pull waits for a first message before it asks again. */
const PULL_WAIT_MS = 5_000;
/** A third of the queue's ackWait of 30 s: two heartbeats may be lost. */
const EXTEND_INTERVAL_MS = 10_000;
const CONCURRENCY_MIN = 4;
const PULL_RETRY_DELAY_MS_MIN = 200;
const PULL_RETRY_DELAY_MS_MAX = 10_000;

export interface WorkersOptions {
  readonly queue: ImpressionQueue;
  readonly store: ImpressionStore;
  readonly board: WorkerBoard;
  readonly clock: Clock;
  readonly random: () => number;
  /** Names this process in `pipeline`; each loop adds its number. */
  readonly processId: string;
  readonly loops: number;
  readonly messagesPerPull: number;
  readonly concurrencyMax: number;
  readonly retentionMs: number;
  readonly logger: Logger;
}

export interface Workers {
  /** Whether the store is taken for down, so that nothing is pulled. */
  paused(): boolean;
  /** Stops pulling, finishes and settles what is in hand, then resolves. Repeated calls wait for the first. */
  stop(): Promise<void>;
}

/**
 * Starts the worker loops of a process. Each loop pulls, stores and settles, one pull after another; the loops share
 * the concurrency limit and the breaker.
 */
export function startWorkers(options: WorkersOptions): Workers {
  const { queue, store, logger } = options;
  const stopping = new AbortController();
  const breaker = createBreaker({
    probe: async () => (await store.health()).healthy,
    sleep: sleepUntilAborted,
    random: options.random,
    onChange: (open) =>
      open
        ? logger.error("the store fails: pulling pauses until it answers; the backlog waits in the queue")
        : logger.info("the store answers again: pulling goes on"),
  });
  const limit = createConcurrencyLimit({
    min: Math.min(CONCURRENCY_MIN, options.concurrencyMax),
    max: options.concurrencyMax,
    monotonicMs: () => performance.now(),
  });
  const handler: PullHandlerDeps = {
    queue,
    store,
    limit,
    breaker,
    clock: options.clock,
    random: options.random,
    retentionMs: options.retentionMs,
    extendIntervalMs: EXTEND_INTERVAL_MS,
    logger,
  };

  const states = Array.from({ length: options.loops }, () => ({ working: false, stored: 0 }));
  const report = () => {
    for (const [number, state] of states.entries()) {
      options.board.report({
        id: `${options.processId}-${number + 1}`,
        state: stateOf(state.working),
        impressionsStored: state.stored,
        concurrency: limit.current(),
        storeHealthy: !breaker.isOpen(),
      });
    }
  };

  function stateOf(working: boolean): WorkerReport["state"] {
    if (stopping.signal.aborted) return "STOPPING";
    if (breaker.isOpen()) return "PAUSED";
    return working ? "WORKING" : "IDLE";
  }

  async function loop(state: (typeof states)[number]): Promise<void> {
    const { signal } = stopping;
    let retryDelayMs = PULL_RETRY_DELAY_MS_MIN;
    while (!signal.aborted) {
      try {
        await breaker.closed(signal);
        if (signal.aborted) return;
        const deliveries = await queue.pull({
          maxMessages: options.messagesPerPull,
          maxBytes: Math.floor(PULLED_BYTES_MAX / options.loops),
          waitMs: PULL_WAIT_MS,
          signal,
        });
        retryDelayMs = PULL_RETRY_DELAY_MS_MIN;
        if (deliveries.length === 0) continue;
        state.working = true;
        const counts = await handlePull(deliveries, handler);
        state.stored += counts.stored;
        if (counts.deadLettered > 0) logger.warn(counts, "impressions were dead-lettered");
        if (counts.expired > 0) logger.info(counts, "impressions expired while they waited in the queue");
      } catch (error) {
        logger.warn({ err: error, retryDelayMs }, "could not pull from the queue");
        await sleepUntilAborted(retryDelayMs * (0.5 + options.random() / 2), signal);
        retryDelayMs = Math.min(retryDelayMs * 2, PULL_RETRY_DELAY_MS_MAX);
      } finally {
        state.working = false;
      }
    }
  }

  report();
  const reporting = setInterval(report, WORKER_REPORT_INTERVAL_MS);
  const running = Promise.all(states.map(loop));
  let stopped: Promise<void> | undefined;
  return {
    paused: breaker.isOpen,
    stop() {
      stopped ??= (async () => {
        stopping.abort();
        report();
        await running;
        clearInterval(reporting);
      })();
      return stopped;
    },
  };
}

async function sleepUntilAborted(delayMs: number, signal: AbortSignal): Promise<void> {
  await sleepUnaborted(delayMs, undefined, { signal }).catch(() => undefined);
}
