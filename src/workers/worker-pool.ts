import { sleep as sleepUnlessAborted } from "../common/waiting.ts";
import { createExpiryClock } from "../domain/guarded-clock.ts";
import type { Clock } from "../domain/time.ts";
import type { ImpressionQueue } from "../ports/impression-queue.ts";
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
import { createInFlightBuffer } from "./in-flight-buffer.ts";
import { createPartitionQueues } from "./partition-queues.ts";
import { createPlanner } from "./planner.ts";
import { createPoisonIsolation } from "./poison-isolation.ts";
import { createStoreWriters, type PullHandlerDeps } from "./pull-handler.ts";
import { nakDelayMs } from "./retry-decision.ts";
import { createSharedLock } from "./shared-lock.ts";
import { createWorkerLoop } from "./worker-loop.ts";

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

const CONCURRENCY_MIN = 4;
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
  const sleep = (delayMs: number) => sleepUnlessAborted(delayMs, stopping);

  const breaker = createCircuitBreaker({
    probe: async () => (await store.health()).healthy,
    sleep: sleepUnlessAborted,
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
  const partitionQueues = createPartitionQueues({
    limit,
    breaker,
    writeTimeoutMs: options.writeTimeoutMs,
    monotonicMs,
    random,
    logger,
  });
  const inFlight = createInFlightBuffer({
    loops: options.loops,
    messagesPerPull: options.messagesPerPull,
    stopping,
    onFull: partitionQueues.shed,
  });
  const isolationCounters = createWorkerCounters();
  const deadLetterLog = createDeadLetterLog(logger);
  let pullsBegun = 0;
  const pull: PullHandlerDeps = {
    queue,
    ...createStoreWriters(partitionQueues, store, breaker),
    erasedThrough: store.erasedThrough,
    isUnhealthy: partitionQueues.isUnhealthy,
    nextPull: () => pullsBegun++,
    newPlanner: createPlanner,
    deadLetterBudget: createDeadLetterBudget(monotonicMs),
    deadLetterLog,
    storedParts: createStoredParts(),
    clock: options.clock,
    expiryClock: createExpiryClock(options.clock),
    monotonicMs,
    random,
    retentionMs: options.retentionMs,
    logger,
    lock,
    nakDelayMs: ({ deliveries }) => (stopping.aborted ? STOP_DELAY_MS : nakDelayMs(deliveries)),
    onStored: options.onStored ?? (() => undefined),
    onReleased: inFlight.release,
    abandon: abandon.signal,
  };
  const isolation = createPoisonIsolation({
    pull,
    counters: isolationCounters,
    store,
    instanceId: options.instanceId,
    writeTimeoutMs: options.writeTimeoutMs,
    lock,
    breaker,
    isUnhealthy: partitionQueues.isUnhealthy,
    stopping,
    sleep,
  });

  const loops = Array.from({ length: options.loops }, () =>
    createWorkerLoop({
      queue,
      inFlight,
      breaker,
      limit,
      sortOut: isolation.sortOut,
      pull,
      deadLetterLog,
      stopping,
      sleep,
      random,
      logger,
    }),
  );

  function report(): void {
    for (const [number, loop] of loops.entries()) {
      registry.report({
        id: `${options.processId}-${number + 1}`,
        state: stateOf(loop.isWorking()),
        impressionsStored: loop.counters.stored,
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
    await Promise.all(loops.map((loop) => loop.idle()));
    clearTimeout(deadline);
    clearInterval(reporting);
    partitionQueues.close();
    deadLetterLog.close();
  }

  report();
  const reporting = setInterval(report, WORKER_REPORT_INTERVAL_MS);
  const running = Promise.all(loops.map((loop) => loop.run()));
  let stopped: Promise<void> | undefined;
  return {
    paused: breaker.isOpen,
    counts: () => sumOf([isolationCounters, ...loops.map(({ counters }) => counters)]),
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
