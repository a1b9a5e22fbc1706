import { StoreRefusedError } from "../ports/errors.ts";
import type { WriteOptions } from "../ports/impression-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Breaker } from "./breaker.ts";
import { type ConcurrencyLimit, NotBegunError } from "./concurrency.ts";
import { partitionFields } from "./partition.ts";
import { backoffMs, isOverdue, verdictOf } from "./verdict.ts";
import { within } from "./within.ts";

/**
 * One lane for each partition of the store that something is to be written to, so that a partition in trouble holds up
 * nobody but its own messages.
 *
 *   healthy   Writes start as slots come free, at most a quarter of all slots for one partition.
 *   sick      A write failed or takes longer than a second. From now on one write at a time, the probe, once all have
 *             ended that were begun before; after a failure it is repeated with growing delays. The others wait behind it
 *             without a slot. A probe that succeeds within the second makes the lane healthy again. Nothing else does:
 *             only a probe runs alone, so that no other write can still hang when it has ended.
 *
 * What waits in a sick lane is given up, so that its messages go back to the queue, as soon as one of these comes: it has
 * been tried for 20 seconds; the messages in hand are so many that nothing new could be pulled (`shed`); the whole store
 * is taken for down (the breaker); the worker stops.
 */
export interface Lanes {
  /**
   * Never throws, and always ends.
   *
   * @param partition names the partition among all tables.
   * @param write is told to keep apart from others where the partition is in trouble.
   * @param rank see ConcurrencyLimit.run.
   */
  write(partition: string, write: (options: WriteOptions) => Promise<void>, rank: number): Promise<Outcome>;
  /** Whether the partition's newest write failed or was slow, and that is not long ago. */
  isSick(partition: string): boolean;
  /** Gives up what waits in sick lanes. */
  shed(): void;
  /** From now on sick lanes retry nothing; what is healthy goes on. */
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

/** A write that takes longer makes its lane sick, also before it ends: one that hangs must not have a second one beside it. */
const SICK_WRITE_MS = 1_000;
/**
 * A healthy lane may have this share of the slots, and always one: what a partition that begins to hang holds until that is
 * noticed. A sick lane holds the slot of its probe.
 */
const LANE_SHARE = 1 / 4;
/** How long a sick lane that nobody uses is remembered. */
const SICK_MEMORY_MS = 30_000;
const SWEEP_INTERVAL_MS = 1_000;

interface Job {
  readonly write: (options: WriteOptions) => Promise<void>;
  readonly rank: number;
  readonly sinceMs: number;
  readonly end: (outcome: Outcome) => void;
}

interface Lane {
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
  troubleMs: number;
  backoff: NodeJS.Timeout | null;
}

export interface LanesDeps {
  readonly limit: ConcurrencyLimit;
  readonly breaker: Pick<Breaker, "failed" | "isOpen">;
  /** A write that has not answered by then is given up; longer than any timeout of the store's own. */
  readonly writeTimeoutMs: number;
  readonly monotonicMs: () => number;
  readonly random: () => number;
  readonly logger: Logger;
}

export function createLanes(deps: LanesDeps): Lanes {
  const { limit, breaker, monotonicMs, logger } = deps;
  const lanes = new Map<string, Lane>();
  let phase: "open" | "ending retries" | "closed" = "open";
  const sweeping = setInterval(sweep, SWEEP_INTERVAL_MS);
  sweeping.unref();

  function laneOf(partition: string): Lane {
    let lane = lanes.get(partition);
    if (lane === undefined) {
      lane = {
        partition,
        waiting: [],
        running: 0,
        begun: 0,
        failures: 0,
        isSlow: false,
        troubleMs: 0,
        backoff: null,
      };
      lanes.set(partition, lane);
    }
    return lane;
  }

  const isSick = ({ failures, isSlow }: Lane) => failures > 0 || isSlow;
  const widthOf = (lane: Lane) => (isSick(lane) ? 1 : Math.max(1, Math.floor(limit.current() * LANE_SHARE)));

  function pump(lane: Lane): void {
    if (isSick(lane) && phase !== "open") giveUpWaiting(lane);
    while (lane.backoff === null && lane.running < widthOf(lane)) {
      const job = lane.waiting.shift();
      if (job === undefined) break;
      lane.running++;
      void attempt(lane, job);
    }
    if (lane.running === 0 && lane.waiting.length === 0 && !isSick(lane)) lanes.delete(lane.partition);
  }

  async function attempt(lane: Lane, job: Job): Promise<void> {
    const failuresBefore = lane.failures;
    const run = isSick(lane) ? limit.runProbe : limit.run;
    try {
      await run(() => timed(lane, job.write), job.rank);
      job.end(STORED);
    } catch (error) {
      if (error === NOT_WANTED) job.end(UNAVAILABLE);
      else if (error === NOT_ALONE) lane.waiting.unshift(job);
      else if (error instanceof StoreRefusedError) job.end({ kind: "refused", detail: error.message });
      else failed(lane, job, error, failuresBefore);
    }
    lane.running--;
    pump(lane);
  }

  /** Runs a write and keeps an eye on how long it takes. */
  async function timed(lane: Lane, write: Job["write"]): Promise<void> {
    // It may have waited for its slot for long.
    if (breaker.isOpen() || phase === "closed") throw NOT_WANTED;
    const isProbe = isSick(lane);
    if (isProbe && lane.begun > 0) throw NOT_ALONE;
    const startedMs = monotonicMs();
    const isSlow = () => monotonicMs() - startedMs > SICK_WRITE_MS;
    const notice = setTimeout(() => noticeSlow(lane), SICK_WRITE_MS);
    lane.begun++;
    try {
      await within(deps.writeTimeoutMs, () => write({ apart: isProbe }));
      if (isProbe) lane.failures = 0;
    } finally {
      lane.begun--;
      clearTimeout(notice);
      if (isSlow()) noticeSlow(lane);
      else if (isProbe) lane.isSlow = false;
    }
  }

  function noticeSlow(lane: Lane): void {
    lane.isSlow = true;
    lane.troubleMs = monotonicMs();
  }

  function failed(lane: Lane, job: Job, error: unknown, failuresBefore: number): void {
    breaker.failed(error);
    lane.troubleMs = monotonicMs();
    // Writes that failed side by side are one failure.
    if (lane.failures === failuresBefore) lane.failures++;
    const verdict = verdictOf(monotonicMs() - job.sinceMs, breaker.isOpen());
    const { partition, failures } = lane;
    logger.debug({ err: error, ...partitionFields(partition), failures, verdict }, "a store write failed");
    if (verdict === "GIVE_BACK" || phase !== "open") job.end(UNAVAILABLE);
    else lane.waiting.unshift(job);
    if (phase === "open")
      lane.backoff ??= setTimeout(() => endBackoff(lane), backoffMs(lane.failures, deps.random()));
  }

  function endBackoff(lane: Lane): void {
    if (lane.backoff !== null) clearTimeout(lane.backoff);
    lane.backoff = null;
    pump(lane);
  }

  function giveUpWaiting({ waiting }: Lane): void {
    for (const job of waiting.splice(0)) job.end(UNAVAILABLE);
  }

  function shed(): void {
    for (const lane of lanes.values()) if (isSick(lane)) giveUpWaiting(lane);
  }

  function sweep(): void {
    const nowMs = monotonicMs();
    for (const lane of lanes.values()) {
      if (!isSick(lane)) continue;
      if (breaker.isOpen()) giveUpWaiting(lane);
      while (lane.waiting[0] !== undefined && isOverdue(nowMs - lane.waiting[0].sinceMs))
        lane.waiting.shift()?.end(UNAVAILABLE);
      const isIdle = lane.running === 0 && lane.waiting.length === 0 && lane.backoff === null;
      if (isIdle && nowMs - lane.troubleMs > SICK_MEMORY_MS) lanes.delete(lane.partition);
    }
  }

  return {
    write(partition, write, rank) {
      if (phase === "closed") return Promise.resolve(UNAVAILABLE);
      return new Promise((end) => {
        const lane = laneOf(partition);
        lane.waiting.push({ write, rank, sinceMs: monotonicMs(), end });
        pump(lane);
      });
    },

    isSick(partition) {
      const lane = lanes.get(partition);
      return lane !== undefined && isSick(lane);
    },

    shed,

    endRetries() {
      if (phase === "open") phase = "ending retries";
      for (const lane of lanes.values()) endBackoff(lane);
    },

    close() {
      phase = "closed";
      clearInterval(sweeping);
      for (const lane of lanes.values()) {
        giveUpWaiting(lane);
        endBackoff(lane);
      }
    },
  };
}

/** The store is down or the worker stops: what has waited for its slot until then is given up. */
const NOT_WANTED = new NotBegunError("not wanted any more");
/** The lane became sick while this waited for its slot, and another write of it still runs. */
const NOT_ALONE = new NotBegunError("not alone in a sick lane");
