import { chunksOf } from "../common/chunks.ts";
import { erasureReach, isWithin } from "../domain/erasure.ts";
import type { WallClock } from "../domain/time.ts";
import type { Database } from "./database.ts";
import type { ErasedUsers } from "./erased-users.ts";
import { createSettling, type PackRow, packRowOf, type StoredView, viewsOf } from "./packs/history.ts";
import { instantMsOf, integerOf, timestampOf } from "./rows.ts";
import { SLICE_LENGTHS_SECONDS, type Slice, shardOf, sliceKey, slicesCovering } from "./slices.ts";
import { CLUSTERING_IDS_MAX } from "./statements.ts";
import { type BatchRow, cutIntoBatches } from "./writes/batches.ts";
import { viewerPartition } from "./writes/viewer-writes.ts";

/** Packs of the user looked at together: each has up to 100 views. */
const PACKS_PER_PAGE = 50;
/** Views of one post whose slices are looked up together: each has one slice of every length. */
const VIEWS_PER_LOOKUP = Math.floor(CLUSTERING_IDS_MAX / SLICE_LENGTHS_SECONDS.length);
/** Posts worked on at once. */
const POSTS_AT_ONCE = 16;

/** One view of the user, as far as its rows must be found. */
type Trace = Pick<StoredView, "postId" | "viewedAtMs" | "receivedAtUs">;

/**
 * Deletes what an erasure takes of a user. The marker first, so that writers stop; then the viewers rows, in every slice
 * that exists; the history last, because it tells where the rest is: after a crash the same call goes on.
 *
 * Each delete carries the erasure's instant as its write timestamp: it takes what was received before, also where that is
 * written later, and leaves what was received after. That is exact, since all views of a pack were received at once. What
 * a clock dated ahead has a later timestamp; it is deleted with that, alone: as the timestamp of all it would keep the
 * user's new views out until then. It goes with its page, by the time at which that page was read: at a later look a new
 * view might be taken for it.
 */
export async function eraseUser(
  database: Database,
  erasedUsers: ErasedUsers,
  {
    userId,
    throughUs,
    clock,
  }: { readonly userId: string; readonly throughUs: number; readonly clock: WallClock },
  onCounted: (views: number) => Promise<void> = async () => undefined,
): Promise<{ readonly rowsDeleted: number }> {
  const { deleteViewers, deletePacks } = createDeletions(database, userId, throughUs);
  await erasedUsers.record(userId, throughUs);

  let rowsDeleted = 0;
  /** Goes by the page, too: what is counted is a view, however many packs hold it. */
  let isTaken = (_receivedAtUs: number): boolean => false;
  const settling = createSettling();
  const count = ({ receivedAtUs }: StoredView) => {
    if (isTaken(receivedAtUs)) rowsDeleted++;
  };
  for await (const rows of database.pages("readHistory", [userId], PACKS_PER_PAGE)) {
    // The history may take minutes, and the user goes on meanwhile: nothing that was read now was received later than now.
    const reach = erasureReach(throughUs, clock.nowMs());
    isTaken = (receivedAtUs) => isWithin(reach, receivedAtUs);
    const packs = rows.map(packRowOf);
    const taken = packs.filter(({ receivedAtUs }) => isTaken(receivedAtUs));
    await deleteViewers(taken.flatMap((pack) => viewsOf(pack)));
    await deletePacks(taken.filter(({ receivedAtUs }) => receivedAtUs > reach.aheadOfUs));
    settling.add(packs, count);
  }
  settling.rest(count);
  await onCounted(rowsDeleted);
  await database.write("deleteHistory", [BigInt(throughUs), userId]);
  return { rowsDeleted };
}

/** Deletes what was found of a user's views. */
function createDeletions(database: Database, userId: string, throughUs: number) {
  return { deleteViewers, deletePacks };

  function timestampFor({ receivedAtUs }: Pick<Trace, "receivedAtUs">): bigint {
    return BigInt(Math.max(throughUs, receivedAtUs));
  }

  async function deletePacks(packs: readonly PackRow[]): Promise<void> {
    const rows = packs.map(
      (pack): BatchRow => ({
        statement: "deletePack",
        parameters: [timestampFor(pack), userId, timestampOf(pack.newestAtMs), pack.id],
      }),
    );
    const batches = cutIntoBatches(rows.map((row) => [row]));
    await Promise.all(batches.map((batch) => database.writeBatch(batch, { uncoalesced: true })));
  }

  async function deleteViewers(traces: readonly Trace[]): Promise<void> {
    const lookups = [...Map.groupBy(traces, ({ postId }) => postId)].flatMap(([postId, group]) =>
      chunksOf(group, VIEWS_PER_LOOKUP).map((chunk) => ({ postId, chunk })),
    );
    for (const some of chunksOf(lookups, POSTS_AT_ONCE)) {
      await Promise.all(some.map(({ postId, chunk }) => deleteViewersOfPost(postId, chunk)));
    }
  }

  async function deleteViewersOfPost(postId: string, traces: readonly Trace[]): Promise<void> {
    const existing = await existingSlices(database, postId, traces);
    const partitions = new Map<string, BatchRow[][]>();
    for (const trace of traces) {
      const { viewedAtMs } = trace;
      for (const slice of slicesCovering(viewedAtMs)) {
        if (!existing.has(sliceKey(slice))) continue;
        const key = sliceKey(slice);
        const rows = partitions.get(key) ?? [];
        partitions.set(key, rows);
        // One user: one shard of each slice.
        const partition = viewerPartition(postId, slice, shardOf(slice.seconds, userId));
        rows.push([
          {
            statement: "deleteViewer",
            parameters: [timestampFor(trace), ...partition, timestampOf(viewedAtMs), userId],
          },
        ]);
      }
    }
    const batches = [...partitions.values()].flatMap(cutIntoBatches);
    await Promise.all(batches.map((batch) => database.writeBatch(batch, { uncoalesced: true })));
  }
}

/** The keys of those slices that cover one of the views and have a marker. */
async function existingSlices(
  database: Database,
  postId: string,
  traces: readonly Trace[],
): Promise<ReadonlySet<string>> {
  const starts = new Set(
    traces.flatMap(({ viewedAtMs }) => slicesCovering(viewedAtMs).map(({ startMs }) => startMs)),
  );
  const rows = await database.read(
    "findSlices",
    [postId, SLICE_LENGTHS_SECONDS, [...starts].map(timestampOf)],
    starts.size * SLICE_LENGTHS_SECONDS.length,
  );
  return new Set(
    rows.map((row) =>
      sliceKey({
        seconds: integerOf(row, "slice_seconds") as Slice["seconds"],
        startMs: instantMsOf(row, "slice_start"),
      }),
    ),
  );
}
