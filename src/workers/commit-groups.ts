import type { View } from "../domain/impression.ts";
import type { WriteOptions } from "../ports/impression-store.ts";
import { type Outcome, type PartitionQueues, partitionOf, type Table } from "./partition-queues.ts";
import type { PlannedBatch, PlannedView } from "./planner.ts";

/** One of the store's two writes. */
export type StoreWrite = (owner: string, views: readonly View[], options: WriteOptions) => Promise<void>;

/** Called once for each row of a batch. Must not throw. */
export type RowEnded = (planned: PlannedView, outcome: Outcome) => void;

/**
 * Writes one partition's batch and reports what became of each row. Never throws.
 *
 * @param rank see AdaptiveLimit.run.
 */
export type BatchWriter = (batch: PlannedBatch, rank: number, ended: RowEnded) => void;

/**
 * A writer of one of the store's two tables of partitions. Where the store refuses a batch it writes the rows one by
 * one, to find the row that is refused for what it is.
 *
 * @param table distinguishes its partitions from those of the other writer.
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

/**
 * The views of a user wait for each other's viewers rows, to be committed in one write, but not for rows of an unhealthy
 * partition: such a post must not hide the user's other views. Groups are checked this often. (Not waiting for rows that only
 * wait their turn would make many small writes of one, just when the store is slow already.)
 */
const HEALTH_CHECK_MS = 1_000;

/**
 * Gathers what may be committed together, while the viewers rows of a pull are written. A group has the views of one user:
 *
 *   together ----> the viewers row of its last view has ended ------------> handed over as a whole
 *      |
 *      +---------> all rows that it waits for are of unhealthy partitions -> handed over in part: split
 *                                                                            from then on view by view
 */
export interface HistoryGroups {
  /** The viewers row of this view is written, or will not be. To be called once for each view. */
  ended(planned: PlannedView, outcome: Outcome): void;
}

interface Group {
  readonly owner: string;
  readonly waiting: Set<PlannedView>;
  /** Those whose viewers rows have ended, until they are handed over. */
  ended: Ended[];
  /** What was waited for has been handed over already: the rest goes view by view. */
  isSplit: boolean;
}

/** A view whose viewers row is written, or will not be. */
export interface Ended {
  readonly planned: PlannedView;
  readonly outcome: Outcome;
}

/**
 * @param batches the history batches of a pull; each view stands in one of them.
 * @param options.isUnhealthy whether the partition of the view's post is unhealthy.
 * @param options.commit takes over views of one user, with what became of their viewers rows. Must not throw.
 */
export function createHistoryGroups(
  batches: readonly PlannedBatch[],
  options: {
    readonly isUnhealthy: (planned: PlannedView) => boolean;
    readonly commit: (owner: string, ended: readonly Ended[]) => void;
  },
): HistoryGroups {
  // Nothing keeps what has ended: a few views that have to wait must not hold the memory of all.
  const groupOf = new Map<PlannedView, Group>();
  const together = new Set<Group>();
  for (const { owner, views } of batches) {
    const group: Group = { owner, waiting: new Set(views), ended: [], isSplit: false };
    together.add(group);
    for (const planned of views) groupOf.set(planned, group);
  }
  const checking = setInterval(check, HEALTH_CHECK_MS);
  checking.unref();
  if (together.size === 0) clearInterval(checking);

  function handOver(group: Group): void {
    together.delete(group);
    if (together.size === 0) clearInterval(checking);
    const { owner, ended } = group;
    group.ended = [];
    group.isSplit = true;
    options.commit(owner, ended);
  }

  function check(): void {
    for (const group of together) if (!waitsForHealthy(group)) handOver(group);
  }

  function waitsForHealthy({ waiting }: Group): boolean {
    for (const planned of waiting) if (!options.isUnhealthy(planned)) return true;
    return false;
  }

  return {
    ended(planned, outcome) {
      const group = groupOf.get(planned);
      if (group === undefined) return;
      groupOf.delete(planned);
      group.waiting.delete(planned);
      group.ended.push({ planned, outcome });
      if (group.isSplit || group.waiting.size === 0) handOver(group);
    },
  };
}
