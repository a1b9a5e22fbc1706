import { StoreRefusedError, StoreUnavailableError } from "../ports/errors.ts";
import type { Delivery } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import { type AdaptiveLimit, createAdaptiveLimit } from "./adaptive-limit.ts";
import { createCandidateQueue } from "./candidate-queue.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import type { WorkerCounters } from "./counters.ts";
import type { PlanRules } from "./dead-letters.ts";
import {
  type Outcome,
  type PartitionQueues,
  partitionFields,
  STORED,
  UNAVAILABLE,
} from "./partition-queues.ts";
import { createCrashPlanner } from "./planner.ts";
import {
  createStoreWriters,
  EXTENSIONS_PER_ACK_WAIT,
  handlePull,
  type PullHandlerDeps,
} from "./pull-handler.ts";
import { nakDelayMs, writeWithin } from "./retry-decision.ts";
import type { SharedLock } from "./shared-lock.ts";

/**
 * Pure: what to do with a message that may kill its worker (docs/semantics.md, "Messages that kill workers").
 *
 * A high delivery count does not prove that a message is poison: it also rises when a worker crashes with other messages in
 * flight, after naks, and in outages. It makes the message a candidate, which is then attempted with nothing else in flight,
 * after a durable record that the attempt has begun. A worker that survives the attempt deletes the record. A record that is
 * found at the next delivery therefore proves that a worker died, or hung, with no other message in flight.
 *
 *   common flow ----> delivered more than 5 times: candidate ----> recorded ----> attempt (TRY) ----> ended: the record is deleted
 *                        ^                                            |              |
 *                        +--------- delivered again ------------------+-- 1, 2 ------+-- the worker died: the record stays
 *                                                                     |
 *                                                                     +-- 3 records of others: DEAD_LETTER_EACH
 *                                                                     +-- 4 and more: DEAD_LETTER_WHOLE
 */

/** Deliveries of a message in the common flow; from the next one on its attempts are isolated. */
const SHARED_DELIVERIES_MAX = 5;
/** Isolated attempts that ended with their worker, after which the message is dead-lettered. */
const ISOLATED_DEATHS_MAX = 3;

export function isPoisonCandidate({ deliveries }: Pick<Delivery, "deliveries">): boolean {
  return deliveries > SHARED_DELIVERIES_MAX;
}

/**
 * TRY: store it. DEAD_LETTER_EACH: a dead letter for each of its impressions. DEAD_LETTER_WHOLE: one dead letter of its
 * bytes, unread, because reading it is what kills.
 */
export type IsolationStep = "TRY" | "DEAD_LETTER_EACH" | "DEAD_LETTER_WHOLE";

/**
 * @param attempts the workers in the attempt record: they began an attempt and did not end it.
 * @param self the worker that asks. It lives, so its own entry (one that it could not delete) is no death.
 */
export function isolationStepOf(attempts: readonly string[], self: string): IsolationStep {
  const deaths = othersIn(attempts, self).length;
  if (deaths < ISOLATED_DEATHS_MAX) return "TRY";
  return deaths === ISOLATED_DEATHS_MAX ? "DEAD_LETTER_EACH" : "DEAD_LETTER_WHOLE";
}

function othersIn(attempts: readonly string[], self: string): readonly string[] {
  return attempts.filter((worker) => worker !== self);
}

/**
 * How the rows of an isolated attempt are written: each once, and none to an unhealthy partition. All other messages wait
 * meanwhile, so a message whose writes do not succeed at once is nacked.
 */
export function createIsolatedWrites(deps: {
  /** Its own: the shared one starts no write now. */
  readonly limit: Pick<AdaptiveLimit, "run">;
  readonly isUnhealthy: PartitionQueues["isUnhealthy"];
  readonly breaker: Pick<CircuitBreaker, "failed">;
  readonly writeTimeoutMs: number;
  readonly logger: Logger;
}): Pick<PartitionQueues, "write"> {
  return {
    async write(partition, write): Promise<Outcome> {
      if (deps.isUnhealthy(partition)) return UNAVAILABLE;
      try {
        await deps.limit.run(() => writeWithin(deps.writeTimeoutMs, () => write({ uncoalesced: true })));
        return STORED;
      } catch (error) {
        if (error instanceof StoreRefusedError) return { kind: "refused", detail: error.message };
        if (error instanceof StoreUnavailableError) deps.breaker.failed(error);
        deps.logger.debug(
          { err: error, ...partitionFields(partition) },
          "a store write of an isolated attempt failed",
        );
        return UNAVAILABLE;
      }
    },
  };
}

/** Attempts one poison candidate, after a durable record that the attempt has begun. Never throws. */
export type IsolatedAttempt = (delivery: Delivery) => Promise<void>;

/**
 * @param deps.pull how a message is stored with no other in flight.
 * @param deps.self names this worker process among all that ever were.
 */
function createIsolatedAttempt(deps: {
  readonly pull: PullHandlerDeps;
  readonly counters: WorkerCounters;
  readonly self: string;
  /** Never throws. */
  readonly nak: (delivery: Delivery) => Promise<void>;
}): IsolatedAttempt {
  const { self, counters } = deps;
  const { queue, logger } = deps.pull;
  const { attempts } = queue;

  return async (delivery) => {
    const { sequence } = delivery;
    let others: readonly string[];
    let step: IsolationStep;
    try {
      const begun = await attempts.read(sequence);
      others = othersIn(begun, self);
      step = isolationStepOf(begun, self);
      await attempts.write(sequence, [...others, self]);
    } catch (error) {
      // Without the record a poison message would never be recognised.
      logger.warn(
        { err: error, sequence },
        "the attempt at a poison candidate could not be recorded: it is not made now",
      );
      await deps.nak(delivery);
      return;
    }
    counters.isolatedAttempts++;
    if (step === "TRY") {
      await handlePull([delivery], deps.pull, counters);
      await record(sequence, []);
      return;
    }
    const newPlanner = (rules: PlanRules) => createCrashPlanner(rules, step, others);
    const { nacked } = await handlePull([delivery], { ...deps.pull, newPlanner }, counters);
    // A message that could not be dead-lettered (they may be full) keeps its record: it must not kill again.
    await record(sequence, nacked === 0 ? [] : others);
    if (nacked === 0) logger.error({ sequence, workers: others }, POISON_FOUND);
  };

  /** Replaces the message's attempt record; an empty list deletes it. A stale record of this worker counts only after its death. */
  async function record(sequence: number, workers: readonly string[]): Promise<void> {
    try {
      await attempts.write(sequence, workers);
    } catch (error) {
      logger.warn({ err: error, sequence }, "an attempt record could not be replaced");
    }
  }
}

const POISON_FOUND = `a message has ended ${ISOLATED_DEATHS_MAX} workers in isolated attempts: it is dead-lettered as CRASHED_WORKER`;

/** Writes of one candidate's rows at once. */
const CONCURRENCY = 16;
/** The nak delay of a candidate for which the queue of candidates has no room. */
const CROWDED_DELAY_MS = 60_000;

/**
 * Poison-message isolation: takes the messages that were delivered often out of the common flow, and attempts each of them with
 * no other message in flight.
 */
export interface PoisonIsolation {
  /** Keeps the poison candidates among the pulled messages. @returns the others. */
  sortOut(deliveries: readonly Delivery[]): readonly Delivery[];
  /** Waits for the running attempt and naks the waiting candidates. */
  stop(): Promise<void>;
}

/** @param deps.pull how the other messages are handled; candidates are handled alike, but for how their rows are written. */
export function createPoisonIsolation(deps: {
  readonly pull: PullHandlerDeps;
  readonly counters: WorkerCounters;
  readonly store: ImpressionStore;
  readonly lock: SharedLock;
  readonly breaker: CircuitBreaker;
  readonly isUnhealthy: PartitionQueues["isUnhealthy"];
  readonly instanceId: string;
  readonly writeTimeoutMs: number;
  readonly stopping: AbortSignal;
  readonly sleep: (delayMs: number) => Promise<void>;
}): PoisonIsolation {
  const { pull, breaker } = deps;
  const { queue, logger, monotonicMs } = pull;

  // The shared limit starts no write while the lock is held exclusively.
  const lock: Pick<SharedLock, "shared"> = { shared: (work) => work() };
  const limit = createAdaptiveLimit({ min: CONCURRENCY, max: CONCURRENCY, monotonicMs, lock });
  const writes = createIsolatedWrites({ ...deps, limit, logger });
  const attempt = createIsolatedAttempt({
    pull: { ...pull, ...createStoreWriters(writes, deps.store, breaker), lock },
    counters: deps.counters,
    self: deps.instanceId,
    nak: (candidate) => nak([candidate], pull.nakDelayMs(candidate)),
  });
  const candidateQueue = createCandidateQueue({
    lock: deps.lock,
    attempt,
    storeIsUp: () => breaker.closed(deps.stopping),
    sleep: deps.sleep,
    monotonicMs,
  });
  const heartbeat = setInterval(() => {
    const waiting = candidateQueue.waiting();
    if (waiting.length > 0)
      queue.extend(waiting).catch((error: unknown) => logger.debug({ err: error }, "extend"));
  }, queue.ackWaitMs / EXTENSIONS_PER_ACK_WAIT);

  async function nak(candidates: readonly Delivery[], delayMs: number): Promise<void> {
    if (candidates.length === 0) return;
    deps.counters.nacked += candidates.length;
    try {
      await queue.nak(candidates, Math.round(delayMs * (0.5 + pull.random() / 2)));
    } catch (error) {
      logger.warn({ err: error }, "poison candidates could not be nacked: they will be delivered again");
    }
    pull.onReleased(candidates);
  }

  return {
    sortOut(deliveries) {
      const candidates = deliveries.filter(isPoisonCandidate);
      if (candidates.length === 0) return deliveries;
      void nak(candidateQueue.admit(candidates), CROWDED_DELAY_MS);
      return deliveries.filter((delivery) => !isPoisonCandidate(delivery));
    },

    async stop() {
      await nak(candidateQueue.close(), nakDelayMs(1));
      await candidateQueue.idle();
      clearInterval(heartbeat);
    },
  };
}
