import type { View } from "../domain/impression.ts";
import { type Lanes, type Outcome, UNAVAILABLE } from "./lanes.ts";
import { partitionOf, type Table } from "./partition.ts";
import type { PlannedBatch, PlannedView } from "./plan.ts";

export type Outcomes = ReadonlyMap<PlannedView, Outcome>;

/** One of the store's two writes. */
export type StoreWrite = (owner: string, views: readonly View[]) => Promise<void>;

/**
 * Writes one partition's batch and tells what became of each row. Never throws.
 *
 * @param rank see ConcurrencyLimit.run.
 */
export type BatchWriter = (batch: PlannedBatch, rank: number) => Promise<Outcomes>;

/**
 * A writer of one of the store's two tables of partitions. Where the store refuses a batch it writes the rows one by
 * one, to find the row that is refused for what it is.
 *
 * @param table tells its partitions from those of the other writer.
 */
export function createBatchWriter(
  writes: Pick<Lanes, "write">,
  table: Table,
  storeWrite: StoreWrite,
): BatchWriter {
  async function writeBatch({ owner, views }: PlannedBatch, rank: number): Promise<Outcomes> {
    const rows = views.map(({ view }) => view);
    const outcome = await writes.write(partitionOf(table, owner), () => storeWrite(owner, rows), rank);
    if (outcome.kind !== "refused" || views.length === 1)
      return new Map(views.map((planned) => [planned, outcome]));
    const alone = await Promise.all(views.map((planned) => writeBatch({ owner, views: [planned] }, rank)));
    return new Map(alone.flatMap((outcomes) => [...outcomes]));
  }

  return writeBatch;
}

/** What became of a row; one that no write answers for may be stored later. */
export function outcomeOf(outcomes: Outcomes | undefined, planned: PlannedView): Outcome {
  return outcomes?.get(planned) ?? UNAVAILABLE;
}
