import { StoreRefusedError, StoreUnavailableError } from "../ports/errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Breaker } from "./breaker.ts";
import type { ConcurrencyLimit } from "./concurrency.ts";
import { partitionFields } from "./partition.ts";
import { type Outcome, type PartitionQueues, STORED, UNAVAILABLE } from "./partition-queues.ts";
import { within } from "./within.ts";

/**
 * How a suspect's rows are written: each once, and none to a partition that is known to be in trouble. Everybody else
 * waits meanwhile, so whatever does not succeed at once is given back.
 */
export function createOnceWrites(deps: {
  /** Its own: the other one lets nobody in now. */
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
        await deps.limit.run(() => within(deps.writeTimeoutMs, () => write({ apart: true })));
        return STORED;
      } catch (error) {
        if (error instanceof StoreRefusedError) return { kind: "refused", detail: error.message };
        if (error instanceof StoreUnavailableError) deps.breaker.failed(error);
        deps.logger.debug({ err: error, ...partitionFields(partition) }, "a suspect's store write failed");
        return UNAVAILABLE;
      }
    },
  };
}
