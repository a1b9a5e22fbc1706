import { chunksOf } from "../common/chunks.ts";
import { erasureReach, isWithin } from "../domain/erasure.ts";
import type { WallClock } from "../domain/time.ts";
import type { Database } from "./database.ts";
import type { ErasedUsers } from "./erased-users.ts";
import { instantMsOf, integerOf, isNull, textOf, timestampOf } from "./rows.ts";
import { SLICE_LENGTHS_SECONDS, type Slice, shardOf, sliceKey, slicesCovering } from "./slices.ts";
import { CLUSTERING_IDS_MAX } from "./statements.ts";
import { type BatchRow, cutIntoBatches } from "./writes/batches.ts";
import { viewerPartition } from "./writes/viewer-writes.ts";

/** Views of the user looked at together. */
const VIEWS_PER_PAGE = 500;
/** Views of one post whose slices are looked up together: each has one slice of every length. */
const VIEWS_PER_LOOKUP = Math.floor(CLUSTERING_IDS_MAX / SLICE_LENGTHS_SECONDS.length);
/** Posts worked on at once. */
const POSTS_AT_ONCE = 16;

/** One view of the user, as far as its rows must be found. */
interface Trace {
  readonly postId: string;
  readonly viewedAtMs: number;
  /** Null where no write timestamp is known. */
  readonly receivedAtUs: number | null;
}

/**
 * Deletes what an erasure takes of a user. The marker first, so that writers stop; then the viewers rows, in every slice
 * that exists; timeline and membership last, because they tell where the rest is: after a crash the same call goes on.
 *
 * Each delete carries the erasure's instant as its write timestamp: it takes what was received before, also where that is
 * written later, and leaves what was received after. A view that a clock dated ahead has a later one; it is deleted with
 * that, alone: as the timestamp of all it would keep the user's new views out until then. Its traces go with its page, by
 * the time at which that page was read: at a later look a new view might be taken for it.
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
  const timestamp = BigInt(throughUs);
  const { deleteViewers, deleteHistory, withoutMembership } = createTraceDeletion(
    database,
    userId,
    throughUs,
  );
  await erasedUsers.record(userId, throughUs);

  let rowsDeleted = 0;
  for await (const page of database.pages("readHistory", [userId], VIEWS_PER_PAGE)) {
    // The history may take minutes, and the user goes on meanwhile: nothing that was read now was received later than now.
    const reach = erasureReach(throughUs, clock.nowMs());
    const traces = page
      .map(historyTraceOf)
      .filter(({ receivedAtUs }) => receivedAtUs === null || isWithin(reach, receivedAtUs));
    await deleteViewers(traces);
    await deleteHistory(traces.filter(({ receivedAtUs }) => (receivedAtUs ?? 0) > reach.aheadOfUs));
    rowsDeleted += traces.length;
  }
  // On ScyllaDB half a batch may be there: a timeline row whose membership never came.
  for await (const page of database.pages("readWholeTimeline", [userId], VIEWS_PER_PAGE)) {
    await deleteViewers(await withoutMembership(page.map(traceOf)));
  }
  await onCounted(rowsDeleted);
  await database.writeBatch(
    [
      { statement: "deleteTimeline", parameters: [timestamp, userId] },
      { statement: "deleteMembership", parameters: [timestamp, userId] },
    ],
    { uncoalesced: true },
  );
  return { rowsDeleted };
}

/** Deletes what was found of a user's views. */
function createTraceDeletion(database: Database, userId: string, throughUs: number) {
  const timestamp = BigInt(throughUs);

  return { deleteViewers, deleteHistory, withoutMembership };

  function timestampFor({ receivedAtUs }: Trace): bigint {
    return receivedAtUs === null || receivedAtUs < throughUs ? timestamp : BigInt(receivedAtUs);
  }

  async function deleteHistory(traces: readonly Trace[]): Promise<void> {
    const rows = traces.map((trace): BatchRow[] => {
      const at = timestampFor(trace);
      const viewedAt = timestampOf(trace.viewedAtMs);
      return [
        { statement: "deleteTimelineRow", parameters: [at, userId, viewedAt, trace.postId] },
        { statement: "deleteMembershipRow", parameters: [at, userId, trace.postId, viewedAt] },
      ];
    });
    await Promise.all(cutIntoBatches(rows).map((batch) => database.writeBatch(batch, { uncoalesced: true })));
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

  async function withoutMembership(traces: readonly Trace[]): Promise<Trace[]> {
    if (traces.length === 0) return [];
    const instants = traces.map(({ viewedAtMs }) => viewedAtMs);
    const range = [timestampOf(Math.max(...instants)), timestampOf(Math.min(...instants))];
    const stored = new Set<string>();
    const posts = [...new Set(traces.map(({ postId }) => postId))];
    for (const chunk of chunksOf(posts, CLUSTERING_IDS_MAX)) {
      const pages = database.pages("findViewsOfPosts", [userId, chunk, ...range], VIEWS_PER_PAGE);
      for await (const page of pages) for (const row of page) stored.add(traceKey(traceOf(row)));
    }
    return traces.filter((trace) => !stored.has(traceKey(trace)));
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

function traceOf(row: Parameters<typeof textOf>[0]): Trace {
  return { postId: textOf(row, "post_id"), viewedAtMs: instantMsOf(row, "viewed_at"), receivedAtUs: null };
}

function historyTraceOf(row: Parameters<typeof textOf>[0]): Trace {
  const receivedAtUs = isNull(row, "received_at_us") ? null : integerOf(row, "received_at_us");
  return { ...traceOf(row), receivedAtUs };
}

function traceKey({ postId, viewedAtMs }: Trace): string {
  return `${viewedAtMs} ${postId}`;
}
