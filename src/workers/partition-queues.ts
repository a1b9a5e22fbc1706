import { StoreRefusedError } from "../ports/errors.ts";
import type { WriteOptions } from "../ports/impression-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import { type AdaptiveLimit, NotBegunError } from "./adaptive-limit.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import { backoffMs, isOverdue, retryDecisionOf, writeWithin } from "./retry-decision.ts";

/**
 * One queue of writes for each partition of the store, so that an unhealthy partition delays no other messages than its own.
 *
 *   healthy    Writes start as slots come free; one partition takes at most a quarter of all slots.
 *      |
 *      |  a write failed, or takes longer than a second
 *      v
 *   unhealthy  One write at a time, the probe, after all earlier writes have ended. A failed probe is repeated with backoff.
 *      |       The other writes wait behind it without a slot.
 *      |  a probe succeeded within a second
 *      v
 *   healthy
 *
 * Only a probe ends the unhealthy state: it runs alone, so no other write of the partition can still hang at its end.
 *
 * The waiting writes of an unhealthy queue are given up, and their messages are nacked, as soon as one of these holds: the write
 * was retried for 20 seconds; so many messages are in flight that nothing new can be pulled (`shed`); the circuit breaker is
 * open; the worker stops.
 */
export interface PartitionQueues {
  /**
   * Never throws, and always ends.
   *
   * @param partition names the partition among all tables.
   * @param write gets `uncoalesced` where the partition is unhealthy.
   * @param rank see AdaptiveLimit.run.
   */
  write(partition: string, write: (options: WriteOptions) => Promise<void>, rank: number): Promise<Outcome>;
  /** Whether the partition's newest write failed or was slow, and that is not long ago. */
  isUnhealthy(partition: string): boolean;
  /** Gives up the waiting writes of unhealthy queues. */
  shed(): void;
  /** From now on unhealthy queues retry nothing; healthy ones go on. */
  endRetries(): void;
  /** Nothing starts any more. What runs is left to itself. */
  close(): void;
}

/** What became of a write. */
export type Outcome =
  | { readonly kind: "stored" }
  /** The store did not take it, however often it was tried; it may later. */
  | { readonly kind: "unavailable" }
  /** The store refuses one of these rows for what it is. */
  | { readonly kind: "refused"; readonly detail: string };

export const STORED: Outcome = { kind: "stored" };
export const UNAVAILABLE: Outcome = { kind: "unavailable" };

/** A slower write makes its queue unhealthy, also before it ends: no second write may start beside one that hangs. */
const SLOW_WRITE_MS = 1_000;
/**
 * A healthy queue may hold this share of the slots, and always one: a partition that begins to hang holds them until the queue
 * is unhealthy. An unhealthy queue holds the slot of its probe.
 */
const PARTITION_SHARE = 1 / 4;
/** How long an unhealthy queue without writes is remembered. */
const UNHEALTHY_MEMORY_MS = 30_000;
const SWEEP_INTERVAL_MS = 1_000;

interface Job {
  readonly write: (options: WriteOptions) => Promise<void>;
  readonly rank: number;
  readonly sinceMs: number;
  readonly end: (outcome: Outcome) => void;
}

interface PartitionQueue {
  readonly partition: string;
  readonly waiting: Job[];
  /** Writes that have a slot or wait for one. */
  running: number;
  /** Of them, those that have begun. */
  begun: number;
  /** In a row. */
  failures: number;
  isSlow: boolean;
  /** Of the newest failure or slow write. */
  unhealthyAtMs: number;
  backoff: NodeJS.Timeout | null;
}

export interface PartitionQueuesDeps {
  readonly limit: AdaptiveLimit;
  readonly breaker: Pick<CircuitBreaker, "failed" | "isOpen">;
  /** A write that has not answered by then is given up; longer than any timeout of the store's own. */
  readonly writeTimeoutMs: number;
  readonly monotonicMs: () => number;
  readonly random: () => number;
  readonly logger: Logger;
}

export function createPartitionQueues(deps: PartitionQueuesDeps): PartitionQueues {
  const { limit, breaker, monotonicMs, logger } = deps;
  const queues = new Map<string, PartitionQueue>();
  let phase: "open" | "ending retries" | "closed" = "open";
  const sweeping = setInterval(sweep, SWEEP_INTERVAL_MS);
  sweeping.unref();

  function queueOf(partition: string): PartitionQueue {
    let queue = queues.get(partition);
    if (queue === undefined) {
      queue = {
        partition,
        waiting: [],
        running: 0,
        begun: 0,
        failures: 0,
        isSlow: false,
        unhealthyAtMs: 0,
        backoff: null,
      };
      queues.set(partition, queue);
    }
    return queue;
  }

  const isUnhealthy = ({ failures, isSlow }: PartitionQueue) => failures > 0 || isSlow;
  const widthOf = (queue: PartitionQueue) =>
    isUnhealthy(queue) ? 1 : Math.max(1, Math.floor(limit.current() * PARTITION_SHARE));

  function pump(queue: PartitionQueue): void {
    if (isUnhealthy(queue) && phase !== "open") giveUpWaiting(queue);
    while (queue.backoff === null && queue.running < widthOf(queue)) {
      const job = queue.waiting.shift();
      if (job === undefined) break;
      queue.running++;
      void attempt(queue, job);
    }
    if (queue.running === 0 && queue.waiting.length === 0 && !isUnhealthy(queue))
      queues.delete(queue.partition);
  }

  async function attempt(queue: PartitionQueue, job: Job): Promise<void> {
    const failuresBefore = queue.failures;
    const run = isUnhealthy(queue) ? limit.runProbe : limit.run;
    try {
      await run(() => timed(queue, job.write), job.rank);
      job.end(STORED);
    } catch (error) {
      if (error === NOT_WANTED) job.end(UNAVAILABLE);
      else if (error === OTHERS_RUN) queue.waiting.unshift(job);
      else if (error instanceof StoreRefusedError) job.end({ kind: "refused", detail: error.message });
      else failed(queue, job, error, failuresBefore);
    }
    queue.running--;
    pump(queue);
  }

  /** Runs a write and keeps an eye on how long it takes. */
  async function timed(queue: PartitionQueue, write: Job["write"]): Promise<void> {
    // It may have waited for its slot for long.
    if (breaker.isOpen() || phase === "closed") throw NOT_WANTED;
    const isProbe = isUnhealthy(queue);
    if (isProbe && queue.begun > 0) throw OTHERS_RUN;
    const startedMs = monotonicMs();
    const isSlow = () => monotonicMs() - startedMs > SLOW_WRITE_MS;
    const notice = setTimeout(() => noticeSlow(queue), SLOW_WRITE_MS);
    queue.begun++;
    try {
      await writeWithin(deps.writeTimeoutMs, () => write({ uncoalesced: isProbe }));
      if (isProbe) queue.failures = 0;
    } finally {
      queue.begun--;
      clearTimeout(notice);
      if (isSlow()) noticeSlow(queue);
      else if (isProbe) queue.isSlow = false;
    }
  }

  function noticeSlow(queue: PartitionQueue): void {
    queue.isSlow = true;
    queue.unhealthyAtMs = monotonicMs();
  }

  function failed(queue: PartitionQueue, job: Job, error: unknown, failuresBefore: number): void {
    breaker.failed(error);
    queue.unhealthyAtMs = monotonicMs();
    // Writes that failed side by side are one failure.
    if (queue.failures === failuresBefore) queue.failures++;
    const decision = retryDecisionOf(monotonicMs() - job.sinceMs, breaker.isOpen());
    const { partition, failures } = queue;
    logger.debug({ err: error, ...partitionFields(partition), failures, decision }, "a store write failed");
    if (decision === "NAK" || phase !== "open") job.end(UNAVAILABLE);
    else queue.waiting.unshift(job);
    if (phase === "open")
      queue.backoff ??= setTimeout(() => endBackoff(queue), backoffMs(queue.failures, deps.random()));
  }

  function endBackoff(queue: PartitionQueue): void {
    if (queue.backoff !== null) clearTimeout(queue.backoff);
    queue.backoff = null;
    pump(queue);
  }

  function giveUpWaiting({ waiting }: PartitionQueue): void {
    for (const job of waiting.splice(0)) job.end(UNAVAILABLE);
  }

  function shed(): void {
    for (const queue of queues.values()) if (isUnhealthy(queue)) giveUpWaiting(queue);
  }

  function sweep(): void {
    const nowMs = monotonicMs();
    for (const queue of queues.values()) {
      if (!isUnhealthy(queue)) continue;
      if (breaker.isOpen()) giveUpWaiting(queue);
      while (queue.waiting[0] !== undefined && isOverdue(nowMs - queue.waiting[0].sinceMs))
        queue.waiting.shift()?.end(UNAVAILABLE);
      const isIdle = queue.running === 0 && queue.waiting.length === 0 && queue.backoff === null;
      if (isIdle && nowMs - queue.unhealthyAtMs > UNHEALTHY_MEMORY_MS) queues.delete(queue.partition);
    }
  }

  return {
    write(partition, write, rank) {
      if (phase === "closed") return Promise.resolve(UNAVAILABLE);
      return new Promise((end) => {
        const queue = queueOf(partition);
        queue.waiting.push({ write, rank, sinceMs: monotonicMs(), end });
        pump(queue);
      });
    },

    isUnhealthy(partition) {
      const queue = queues.get(partition);
      return queue !== undefined && isUnhealthy(queue);
    },

    shed,

    endRetries() {
      if (phase === "open") phase = "ending retries";
      for (const queue of queues.values()) endBackoff(queue);
    },

    close() {
      phase = "closed";
      clearInterval(sweeping);
      for (const queue of queues.values()) {
        giveUpWaiting(queue);
        endBackoff(queue);
      }
    },
  };
}

/** The store is down or the worker stops: what has waited for its slot until then is given up. */
const NOT_WANTED = new NotBegunError("not wanted any more");
/** The queue became unhealthy while this waited for its slot, and another write of it still runs. */
const OTHERS_RUN = new NotBegunError("other writes of the unhealthy queue still run");

/** The tables whose partitions are written: a post's viewers, a user's history. */
export type Table = "viewers" | "history";

/** Names a partition among all tables. */
export function partitionOf(table: Table, owner: string): string {
  return `${table} ${owner}`;
}

/** The partition as a log line names it: the logger knows what to do with a `userId`. */
export function partitionFields(
  partition: string,
): { readonly userId: string } | { readonly postId: string } {
  const [table, owner] = [partition.split(" ", 1)[0], partition.slice(partition.indexOf(" ") + 1)];
  return table === ("history" satisfies Table) ? { userId: owner } : { postId: owner };
}
