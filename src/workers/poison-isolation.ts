import type { Delivery } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import type { Breaker } from "./breaker.ts";
import { createCandidateQueue } from "./candidate-queue.ts";
import { createConcurrencyLimit } from "./concurrency.ts";
import { createIsolatedAttempt } from "./isolated-attempt.ts";
import { createIsolatedWrites } from "./isolated-writes.ts";
import { isPoisonCandidate } from "./isolation-step.ts";
import type { PartitionQueues } from "./partition-queues.ts";
import { createStoreWriters, EXTENSIONS_PER_ACK_WAIT, type PullHandlerDeps } from "./pull-handler.ts";
import { nakDelayMs } from "./retry-decision.ts";
import type { SharedLock } from "./shared-lock.ts";

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
  readonly store: ImpressionStore;
  readonly lock: SharedLock;
  readonly breaker: Breaker;
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
  const limit = createConcurrencyLimit({ min: CONCURRENCY, max: CONCURRENCY, monotonicMs, lock });
  const writes = createIsolatedWrites({ ...deps, limit, logger });
  const attempt = createIsolatedAttempt({
    pull: { ...pull, ...createStoreWriters(writes, deps.store, breaker), lock },
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
    pull.counters.nacked += candidates.length;
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
