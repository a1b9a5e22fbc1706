import { setTimeout as sleepUnaborted } from "node:timers/promises";
import { createExpiryClock } from "../domain/guarded-clock.ts";
import type { Clock } from "../domain/time.ts";
import type { Delivery, ImpressionQueue } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import {
  WORKER_REPORT_INTERVAL_MS,
  type WorkerRegistry,
  type WorkerReport,
} from "../ports/worker-registry.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createAdaptiveLimit } from "./adaptive-limit.ts";
import { createCircuitBreaker } from "./circuit-breaker.ts";
import { createWorkerCounters, sumOf, type WorkerCounters } from "./counters.ts";
import { createDeadLetterBudget, createDeadLetterLog, createStoredParts } from "./dead-letter-writer.ts";
import { createInFlightBuffer, type Room } from "./in-flight-buffer.ts";
import { createPartitionQueues } from "./partition-queues.ts";
import { createPlanner } from "./plan.ts";
import { createPoisonIsolation } from "./poison-isolation.ts";
import { createStoreWriters, handlePull, type PullHandlerDeps } from "./pull-handler.ts";
import { nakDelayMs } from "./retry-decision.ts";
import { createSharedLock } from "./shared-lock.ts";

/**
 * The worker loops of a process. The states of a message in flight:
 *
 *   pulled ----> planned ----> its rows wait in the queues of their partitions ----> acknowledged: all of it is stored
 *     |                          |    ^                                             or dead-lettered
 *     |                          v    | retry
 *     |                         being written ------------------------------------> nacked: a part could not be
 *     v                                                                              stored; it comes again later
 *   poison candidate (delivered more than 5 times) ----> isolated attempt ----> one of the two, or dead-lettered as CRASHED_WORKER
 *
 * Each message is acked or nacked by itself. A loop pulls again when its last pull is complete, or after a second if no write
 * waits for a slot: the rest of that pull then waits for an unhealthy partition or for a retry, and stays in flight beside the
 * next pulls. All loops share one in-flight buffer, which bounds messages and bytes; where it is full, messages that wait for
 * unhealthy partitions are nacked first. The loops also share the partition queues, the concurrency limit and the breaker.
 *
 * While the store is down (the breaker is open) nothing is pulled, and the messages in flight are nacked.
 */

/** How long a loop waits for what it pulled before it pulls beside it. */
const PULL_STALL_MS = 1_000;
/** How long one pull waits for a first message before it asks again. */
const PULL_WAIT_MS = 5_000;
const CONCURRENCY_MIN = 4;
const PULL_RETRY_DELAY_MS_MIN = 200;
const PULL_RETRY_DELAY_MS_MAX = 10_000;
/** The nak delay while stopping: another worker may have the message soon. */
const STOP_DELAY_MS = 1_000;
/**
 * Of drainTimeoutMs, after it: for the writes that run at that moment. Nacked, their messages would be stored a moment later
 * and delivered again all the same.
 */
const LAST_WRITES_SHARE = 1 / 4;

export interface WorkersOptions {
  readonly queue: ImpressionQueue;
  readonly store: ImpressionStore;
  readonly registry: WorkerRegistry;
  readonly clock: Clock;
  readonly monotonicMs: () => number;
  readonly random: () => number;
  /** Names this process in `pipeline`; each loop adds its number. */
  readonly processId: string;
  /** Names this process among all that ever were, in attempt records. */
  readonly instanceId: string;
  readonly loops: number;
  readonly messagesPerPull: number;
  readonly concurrencyMax: number;
  readonly retentionMs: number;
  /** A store write that has not answered by then counts as failed; longer than any timeout of the store's own. */
  readonly writeTimeoutMs: number;
  /**
   * How long `stop` goes on storing; then messages without a running write are nacked, and running writes have a quarter of
   * this to end.
   */
  readonly drainTimeoutMs: number;
  /** See PullHandlerDeps. */
  readonly onStored?: (lagMs: number) => void;
  readonly logger: Logger;
}

/** How the workers of a process stand now. */
export interface WorkersState {
  readonly loops: number;
  /** Store writes that may run at once, and the bounds that the workers find this number in. */
  readonly concurrency: { readonly current: number; readonly min: number; readonly max: number };
  readonly messagesInFlight: number;
}

export interface Workers {
  /** Whether the store is taken for down, so that nothing is pulled. */
  paused(): boolean;
  counts(): Readonly<WorkerCounters>;
  state(): WorkersState;
  /**
   * Stops pulling, ends all retries, and resolves when no message is in flight: stored ones are acked, the rest are
   * nacked, at the latest after drainTimeoutMs and a quarter. Repeated calls wait for the first.
   */
  stop(): Promise<void>;
}

export function startWorkers(options: WorkersOptions): Workers {
  const { queue, store, registry, logger, random, monotonicMs } = options;
  const stop = new AbortController();
  const abandon = new AbortController();
  const stopping = stop.signal;
  const sleep = (delayMs: number) => sleepUntilAborted(delayMs, stopping);

  const breaker = createCircuitBreaker({
    probe: async () => (await store.health()).healthy,
    sleep: sleepUntilAborted,
    random,
    onChange(open) {
      if (open)
        logger.error("the store fails: pulling pauses until it answers; the backlog waits in the queue");
      else logger.info("the store answers again: pulling goes on");
      report();
    },
  });
  const lock = createSharedLock();
  const bounds = { min: Math.min(CONCURRENCY_MIN, options.concurrencyMax), max: options.concurrencyMax };
  const limit = createAdaptiveLimit({ ...bounds, monotonicMs, lock });
  const partitionQueues = createPartitionQueues({ ...options, limit, breaker });
  const inFlight = createInFlightBuffer({ ...options, stopping, onFull: partitionQueues.shed });
  const states = Array.from({ length: options.loops }, () => ({
    /** Pulls that are not settled yet. */
    pulls: new Set<Promise<unknown>>(),
    counts: createWorkerCounters(),
  }));
  const isolationCounts = createWorkerCounters();
  const deadLetterLog = createDeadLetterLog(logger);
  let pullsBegun = 0;
  const pull: PullHandlerDeps = {
    ...options,
    ...createStoreWriters(partitionQueues, store, breaker),
    erasedThrough: store.erasedThrough,
    isUnhealthy: partitionQueues.isUnhealthy,
    nextPull: () => pullsBegun++,
    newPlanner: createPlanner,
    deadLetterBudget: createDeadLetterBudget(monotonicMs),
    deadLetterLog: deadLetterLog,
    storedParts: createStoredParts(),
    expiryClock: createExpiryClock(options.clock),
    lock,
    nakDelayMs: ({ deliveries }) => (stopping.aborted ? STOP_DELAY_MS : nakDelayMs(deliveries)),
    counters: isolationCounts,
    onStored: options.onStored ?? (() => undefined),
    onReleased: inFlight.release,
    abandon: abandon.signal,
  };
  const isolation = createPoisonIsolation({
    ...options,
    pull,
    lock,
    breaker,
    isUnhealthy: partitionQueues.isUnhealthy,
    stopping,
    sleep,
  });

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

  async function handle(deliveries: readonly Delivery[], counts: WorkerCounters): Promise<void> {
    counts.pulls++;
    counts.messages += deliveries.length;
    counts.redeliveries += deliveries.filter((delivery) => delivery.deliveries > 1).length;
    const became = await handlePull(isolation.sortOut(deliveries), { ...pull, counters: counts });
    const { stored, deadLettered, expired } = became;
    if (deadLettered > 0) deadLetterLog.deadLettered(became);
    if (expired > 0)
      logger.info({ stored, deadLettered, expired }, "impressions expired while they waited in the queue");
  }

  async function loop({ pulls, counts }: (typeof states)[number]): Promise<void> {
    let retryDelayMs = PULL_RETRY_DELAY_MS_MIN;
    for (;;) {
      const room = await inFlight.reserve();
      if (room === null) return;
      try {
        const deliveries = await pullInto(room);
        retryDelayMs = PULL_RETRY_DELAY_MS_MIN;
        if (deliveries.length === 0) continue;
        const handled = handle(deliveries, counts).finally(() => pulls.delete(handled));
        pulls.add(handled);
        do await Promise.race([handled, sleep(PULL_STALL_MS)]);
        while (pulls.has(handled) && limit.isBusy() && !stopping.aborted);
      } catch (error) {
        logger.warn({ err: error, retryDelayMs }, "could not pull from the queue");
        await sleep(retryDelayMs * (0.5 + random() / 2));
        retryDelayMs = Math.min(retryDelayMs * 2, PULL_RETRY_DELAY_MS_MAX);
      }
    }
  }

  function report(): void {
    for (const [number, { pulls, counts }] of states.entries()) {
      registry.report({
        id: `${options.processId}-${number + 1}`,
        state: stateOf(pulls.size > 0),
        impressionsStored: counts.stored,
        concurrency: limit.current(),
        storeHealthy: !breaker.isOpen(),
      });
    }
  }

  function stateOf(isWorking: boolean): WorkerReport["state"] {
    if (stopping.aborted) return "STOPPING";
    if (breaker.isOpen()) return "PAUSED";
    return isWorking ? "WORKING" : "IDLE";
  }

  async function drain(): Promise<void> {
    let deadline = setTimeout(() => {
      logger.warn(
        { messages: inFlight.messages() },
        "what could not be stored in time goes back to the queue",
      );
      partitionQueues.close();
      deadline = setTimeout(() => abandon.abort(), options.drainTimeoutMs * LAST_WRITES_SHARE);
    }, options.drainTimeoutMs);
    stop.abort();
    report();
    partitionQueues.endRetries();
    await Promise.all([running, isolation.stop()]);
    await Promise.all(states.flatMap(({ pulls }) => [...pulls]));
    clearTimeout(deadline);
    clearInterval(reporting);
    partitionQueues.close();
    deadLetterLog.close();
  }

  report();
  const reporting = setInterval(report, WORKER_REPORT_INTERVAL_MS);
  const running = Promise.all(states.map(loop));
  let stopped: Promise<void> | undefined;
  return {
    paused: breaker.isOpen,
    counts: () => sumOf([isolationCounts, ...states.map(({ counts }) => counts)]),
    state: () => ({
      loops: options.loops,
      concurrency: { ...bounds, current: limit.current() },
      messagesInFlight: inFlight.messages(),
    }),
    stop() {
      stopped ??= drain();
      return stopped;
    },
  };
}

async function sleepUntilAborted(delayMs: number, signal: AbortSignal): Promise<void> {
  await sleepUnaborted(delayMs, undefined, { signal }).catch(() => undefined);
}
