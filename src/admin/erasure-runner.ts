import { exponentialDelayMs, sleep } from "../common/waiting.ts";
import type { Erasure } from "../domain/erasure.ts";
import { fnv1aFmix32 } from "../domain/shard-hash.ts";
import { type Clock, microsToMillis } from "../domain/time.ts";
import { StoreRefusedError } from "../ports/errors.ts";
import { carryOutErasure, type ErasureStepsDeps } from "./erasure-steps.ts";

/** Erasures that a process works at together. Most of their time they wait for the queue. */
const ERASURES_AT_ONCE = 4;
/** An idle runner looks for erasures that another process accepted. */
const IDLE_CHECK_INTERVAL_MS = 30_000;
/** An erasure that failed is tried again after this, doubled with each failure in a row. */
const RETRY_DELAY = { minMs: 500, maxMs: 30_000 };
/** So long after the last word of a process that died others take over its erasures. */
const LEASE_MS_DEFAULT = 30_000;
/** A claim is renewed so often in its time: two renewals may fail. */
const RENEWALS_PER_LEASE = 3;

/**
 * Works through the erasure records that are not finished: a few at once, those that have failed least and then the oldest first,
 * so that one that never succeeds holds up no other. A claim with a lease keeps other processes from the same erasure.
 * It only saves work: an erasure may be carried out twice.
 */
export interface ErasureRunner {
  /** Looks for new erasure records now. */
  wake(): void;
  /** Age of the oldest erasure that is not finished, as last seen; 0 where there is none. */
  oldestAgeMs(): number;
  /** Erasures that are not finished and whose last try in this process failed. */
  stuck(): number;
  /** Erasures that failed for good. */
  failed(): number;
  /** Ends what runs at its next step and gives its claims up. */
  stop(): Promise<void>;
}

export interface ErasureRunnerDeps extends ErasureStepsDeps {
  readonly clock: Clock;
  /** Tells this process from every other. */
  readonly holder: string;
  /** LEASE_MS_DEFAULT unless given. */
  readonly leaseMs?: number;
}

/** What the runner knows of an erasure that it has tried. */
interface Trial {
  readonly failures: number;
  /** Not before this instant, in monotonic milliseconds. */
  readonly dueMs: number;
}

export function startErasureRunner(deps: ErasureRunnerDeps): ErasureRunner {
  const { store, clock, holder, leaseMs = LEASE_MS_DEFAULT, logger } = deps;
  const stopping = new AbortController();
  let wakeUp = new AbortController();
  let unfinished: readonly Erasure[] = [];
  /** Only of what is unfinished. */
  let trials = new Map<string, Trial>();
  /** By user: two erasure records of one user have the same rows to delete. */
  const running = new Map<string, Promise<void>>();
  let failures = 0;

  const failuresOf = ({ id }: Erasure) => trials.get(id)?.failures ?? 0;
  const dueMsOf = ({ id }: Erasure) => trials.get(id)?.dueMs ?? 0;

  function retryLater({ id }: Erasure, failed: number, delayMs: number): void {
    trials.set(id, { failures: failed, dueMs: clock.monotonicMs() + delayMs });
  }

  /** Never rejects. */
  async function attempt(erasure: Erasure): Promise<void> {
    try {
      if (await carryOutClaimed(erasure)) trials.delete(erasure.id);
      else retryLater(erasure, failuresOf(erasure), claimDelayMs(holder, leaseMs));
    } catch (error) {
      await (error instanceof StoreRefusedError ? giveUp(erasure, error) : Promise.reject(error)).catch(
        (reason: unknown) => noteFailure(erasure, reason),
      );
    }
    running.delete(erasure.userId);
    wakeUp.abort();
  }

  async function giveUp(erasure: Erasure, error: StoreRefusedError): Promise<void> {
    const { id, userId } = erasure;
    logger.error({ err: error, erasure: id, userId }, "an erasure failed for good");
    await store.saveErasure({ ...erasure, status: "FAILED", finishedAtMs: clock.nowMs() });
    failures++;
  }

  function noteFailure(erasure: Erasure, error: unknown): void {
    const { id, userId } = erasure;
    const failed = failuresOf(erasure) + 1;
    const retryDelayMs = exponentialDelayMs(failed, RETRY_DELAY);
    retryLater(erasure, failed, retryDelayMs);
    const reason = error instanceof Error ? error.message : String(error);
    logger.warn(
      { reason, erasure: id, userId, failures: failed, retryDelayMs },
      "an erasure cannot go on now; it is tried again",
    );
  }

  /** @returns false where another process works at it. */
  async function carryOutClaimed(erasure: Erasure): Promise<boolean> {
    const { id } = erasure;
    const claim = () => store.claimErasure(id, holder, leaseMs);
    if (!(await claim())) return false;
    const renewing = setInterval(() => {
      claim().catch((error: unknown) => logger.debug({ err: error, erasure: id }, "a claim was not renewed"));
    }, leaseMs / RENEWALS_PER_LEASE);
    try {
      await carryOutErasure(erasure, deps, stopping.signal);
      return true;
    } finally {
      clearInterval(renewing);
      await store.releaseErasure(id, holder).catch(() => undefined);
    }
  }

  /** Starts what there is room for. @returns how long there is nothing else to do. */
  function startDue(): number {
    const nowMs = clock.monotonicMs();
    const waiting = unfinished.filter(({ userId }) => !running.has(userId));
    const due = waiting
      .filter((erasure) => dueMsOf(erasure) <= nowMs)
      .sort((a, b) => failuresOf(a) - failuresOf(b) || a.requestedAtUs - b.requestedAtUs);
    for (const erasure of due) {
      if (running.size >= ERASURES_AT_ONCE) return IDLE_CHECK_INTERVAL_MS;
      if (!running.has(erasure.userId)) running.set(erasure.userId, attempt(erasure));
    }
    const nextMs = Math.min(...waiting.map(dueMsOf).filter((dueMs) => dueMs > nowMs));
    return Math.min(IDLE_CHECK_INTERVAL_MS, nextMs - nowMs);
  }

  async function run(): Promise<void> {
    let failedLooks = 0;
    while (!stopping.signal.aborted) {
      wakeUp = new AbortController();
      let delayMs: number;
      try {
        unfinished = await store.unfinishedErasures();
        failedLooks = 0;
        const ids = new Set(unfinished.map(({ id }) => id));
        trials = new Map([...trials].filter(([id]) => ids.has(id)));
        delayMs = startDue();
      } catch (error) {
        delayMs = exponentialDelayMs(++failedLooks, RETRY_DELAY);
        const reason = error instanceof Error ? error.message : String(error);
        logger.warn({ reason, retryDelayMs: delayMs }, "open erasures cannot be looked for now; tried again");
      }
      await sleep(delayMs, AbortSignal.any([stopping.signal, wakeUp.signal]));
    }
    await Promise.all(running.values());
  }

  const working = run();
  return {
    wake: () => wakeUp.abort(),
    oldestAgeMs() {
      const [oldest] = unfinished;
      return oldest === undefined ? 0 : Math.max(0, clock.nowMs() - microsToMillis(oldest.requestedAtUs));
    },
    stuck: () => [...trials.values()].filter((trial) => trial.failures > 0).length,
    failed: () => failures,
    async stop() {
      stopping.abort();
      await working;
    },
  };
}

/**
 * When a process asks for an erasure again that another one has claimed: about three times a lease. Each process has a delay
 * of its own: two that have claimed at once both gave up, and would claim at once again.
 */
export function claimDelayMs(holder: string, leaseMs: number): number {
  const ofHolder = fnv1aFmix32(holder) / 2 ** 32;
  return (leaseMs / RENEWALS_PER_LEASE) * (0.5 + ofHolder);
}
