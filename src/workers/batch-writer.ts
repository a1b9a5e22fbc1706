import type { View } from "../domain/impression.ts";
import type { WriteOptions } from "../ports/impression-store.ts";
import { partitionOf, type Table } from "./partition.ts";
import type { Outcome, PartitionQueues } from "./partition-queues.ts";
import type { PlannedBatch, PlannedView } from "./plan.ts";

/** One of the store's two writes. */
export type StoreWrite = (owner: string, views: readonly View[], options: WriteOptions) => Promise<void>;

/** Told once for each row of a batch. Must not throw. */
export type RowEnded = (planned: PlannedView, outcome: Outcome) => void;

/**
 * Writes one partition's batch and tells what became of each row. Never throws.
 *
 * @param rank see ConcurrencyLimit.run.
 */
export type BatchWriter = (batch: PlannedBatch, rank: number, ended: RowEnded) => void;

/**
 * A writer of one of the store's two tables of partitions. Where the store refuses a batch it writes the rows one by
 * one, to find the row that is refused for what it is.
 *
 * @param table tells its partitions from those of the other writer.
 */
export function createBatchWriter(
  writes: Pick<PartitionQueues, "write">,
  table: Table,
  storeWrite: StoreWrite,
): BatchWriter {
  async function writeBatch({ owner, views }: PlannedBatch, rank: number, ended: RowEnded): Promise<void> {
    const rows = views.map(({ view }) => view);
    const outcome = await writes.write(
      partitionOf(table, owner),
      (options) => storeWrite(owner, rows, options),
      rank,
    );
    for (const planned of views) {
      if (outcome.kind !== "refused" || views.length === 1) ended(planned, outcome);
      else void writeBatch({ owner, views: [planned] }, rank, ended);
    }
  }

  return (batch, rank, ended) => void writeBatch(batch, rank, ended);
}
