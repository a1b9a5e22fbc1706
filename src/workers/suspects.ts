import type { Delivery } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import type { Breaker } from "./breaker.ts";
import { createConcurrencyLimit } from "./concurrency.ts";
import { isSuspect } from "./isolation.ts";
import { createLoneTry } from "./lone-try.ts";
import type { PartitionQueues } from "./partition-queues.ts";
import { createStoreWriters, EXTENSIONS_PER_ACK_WAIT, type PullHandlerDeps } from "./pull-handler.ts";
import { createQuarantine } from "./quarantine.ts";
import { nakDelayMs } from "./retry-decision.ts";
import type { SharedLock } from "./shared-lock.ts";
import { createOnceWrites } from "./write-once.ts";

/** Writes of one suspect's rows at once. */
const CONCURRENCY = 16;
/** How long a suspect stays away for which the quarantine has no room. */
const CROWDED_DELAY_MS = 60_000;

/** Takes the messages that were delivered often out of the common flow, and tries them one by one. */
export interface Suspects {
  /** Keeps the suspects among what was pulled. @returns the others. */
  sortOut(deliveries: readonly Delivery[]): readonly Delivery[];
  /** Ends with the try that runs and gives back the others. */
  stop(): Promise<void>;
}

/** @param deps.pull how everybody else's messages are handled; the suspects' are, too, but for how they are written. */
export function createSuspects(deps: {
  readonly pull: PullHandlerDeps;
  readonly store: ImpressionStore;
  readonly lock: SharedLock;
  readonly breaker: Breaker;
  readonly isUnhealthy: PartitionQueues["isUnhealthy"];
  readonly instanceId: string;
  readonly writeTimeoutMs: number;
  readonly stopping: AbortSignal;
  readonly sleep: (delayMs: number) => Promise<void>;
}): Suspects {
  const { pull, breaker } = deps;
  const { queue, logger, monotonicMs } = pull;

  // The others' limit lets nobody in while somebody is alone.
  const lock: Pick<SharedLock, "shared"> = { shared: (work) => work() };
  const limit = createConcurrencyLimit({ min: CONCURRENCY, max: CONCURRENCY, monotonicMs, lock });
  const writes = createOnceWrites({ ...deps, limit, logger });
  const tryAlone = createLoneTry({
    pull: { ...pull, ...createStoreWriters(writes, deps.store, breaker), lock },
    self: deps.instanceId,
    nak: (suspect) => nak([suspect], pull.nakDelayMs(suspect)),
  });
  const quarantine = createQuarantine({
    lock: deps.lock,
    tryAlone,
    storeIsUp: () => breaker.closed(deps.stopping),
    sleep: deps.sleep,
    monotonicMs,
  });
  const heartbeat = setInterval(() => {
    const waiting = quarantine.waiting();
    if (waiting.length > 0)
      queue.extend(waiting).catch((error: unknown) => logger.debug({ err: error }, "extend"));
  }, queue.ackWaitMs / EXTENSIONS_PER_ACK_WAIT);

  async function nak(suspects: readonly Delivery[], delayMs: number): Promise<void> {
    if (suspects.length === 0) return;
    pull.counts.nacked += suspects.length;
    try {
      await queue.nak(suspects, Math.round(delayMs * (0.5 + pull.random() / 2)));
    } catch (error) {
      logger.warn({ err: error }, "suspects could not be given back: they will be delivered again");
    }
    pull.onReleased(suspects);
  }

  return {
    sortOut(deliveries) {
      const suspects = deliveries.filter(isSuspect);
      if (suspects.length === 0) return deliveries;
      void nak(quarantine.admit(suspects), CROWDED_DELAY_MS);
      return deliveries.filter((delivery) => !isSuspect(delivery));
    },

    async stop() {
      await nak(quarantine.close(), nakDelayMs(1));
      await quarantine.idle();
      clearInterval(heartbeat);
    },
  };
}
