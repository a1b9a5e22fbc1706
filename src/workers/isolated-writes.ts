import { StoreRefusedError, StoreUnavailableError } from "../ports/errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Breaker } from "./breaker.ts";
import type { ConcurrencyLimit } from "./concurrency.ts";
import { partitionFields } from "./partition.ts";
import { type Outcome, type PartitionQueues, STORED, UNAVAILABLE } from "./partition-queues.ts";
import { within } from "./within.ts";

/**
 * How the rows of an isolated attempt are written: each once, and none to an unhealthy partition. All other messages wait
 * meanwhile, so a message whose writes do not succeed at once is nacked.
 */
export function createIsolatedWrites(deps: {
  /** Its own: the shared one starts no write now. */
  readonly limit: Pick<ConcurrencyLimit, "run">;
  readonly isUnhealthy: PartitionQueues["isUnhealthy"];
  readonly breaker: Pick<Breaker, "failed">;
  readonly writeTimeoutMs: number;
  readonly logger: Logger;
}): Pick<PartitionQueues, "write"> {
  return {
    async write(partition, write): Promise<Outcome> {
      if (deps.isUnhealthy(partition)) return UNAVAILABLE;
      try {
        await deps.limit.run(() => within(deps.writeTimeoutMs, () => write({ uncoalesced: true })));
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
