import { setTimeout as sleep } from "node:timers/promises";
import type { View } from "../domain/impression.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Breaker } from "./breaker.ts";
import type { ConcurrencyLimit } from "./concurrency.ts";
import type { PlannedBatch, PlannedView } from "./plan.ts";
import { backoffMs, verdictOf } from "./verdict.ts";

/** What became of a view's row. */
export type Outcome =
  | { readonly kind: "stored" }
  /** The store did not take it, however often it was tried; it may later. */
  | { readonly kind: "unavailable" }
  /** The store refuses this row for what it is. */
  | { readonly kind: "refused"; readonly detail: string };

export type Outcomes = ReadonlyMap<PlannedView, Outcome>;

/** One of the store's two writes. */
export type StoreWrite = (owner: string, views: readonly View[]) => Promise<void>;

/** Writes one partition's batch, tries again while that helps, and finds a refused row by writing them one by one. */
export interface BatchWriter {
  /** Never throws. @param onStored called for every write that the store confirmed. */
  write(batch: PlannedBatch, storeWrite: StoreWrite, onStored?: () => void): Promise<Outcomes>;
}

export function createBatchWriter(deps: {
  readonly limit: ConcurrencyLimit;
  readonly breaker: Breaker;
  readonly random: () => number;
  readonly logger: Logger;
}): BatchWriter {
  const { limit, breaker, random, logger } = deps;

  async function write(
    batch: PlannedBatch,
    storeWrite: StoreWrite,
    onStored?: () => void,
  ): Promise<Outcomes> {
    const rows = batch.views.map(({ view }) => view);
    for (let attempt = 1; ; attempt++) {
      try {
        await limit.run(() => storeWrite(batch.owner, rows));
        onStored?.();
        return all(batch, { kind: "stored" });
      } catch (error) {
        const verdict = verdictOf(error, attempt, breaker.isOpen());
        if (verdict === "ISOLATE") return await isolate(batch, storeWrite, onStored, error);
        breaker.failed();
        logger.debug({ err: error, attempt, verdict }, "a store write failed");
        if (verdict === "GIVE_BACK") return all(batch, { kind: "unavailable" });
        await sleep(backoffMs(attempt, random()));
      }
    }
  }

  async function isolate(
    batch: PlannedBatch,
    storeWrite: StoreWrite,
    onStored: (() => void) | undefined,
    error: unknown,
  ): Promise<Outcomes> {
    if (batch.views.length === 1) {
      const detail = error instanceof Error ? error.message : "the store refuses this row";
      return all(batch, { kind: "refused", detail });
    }
    const alone = await Promise.all(
      batch.views.map((planned) => write({ owner: batch.owner, views: [planned] }, storeWrite, onStored)),
    );
    return new Map(alone.flatMap((outcomes) => [...outcomes]));
  }

  return { write };
}

function all(batch: PlannedBatch, outcome: Outcome): Outcomes {
  return new Map(batch.views.map((planned) => [planned, outcome]));
}
