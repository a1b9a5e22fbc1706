import type { Position } from "../../domain/walk.ts";
import type { Reads } from "../database.ts";
import { instantMsOf, textOf, timestampOf } from "../rows.ts";
import { SLICE_LENGTHS_SECONDS, type Slice, type SliceSeconds, shardsIn, sliceEndMs } from "../slices.ts";
import { viewerPartition } from "../writes/viewer-writes.ts";
import { CHUNK_ROWS_MAX, comparePositions, NO_ID } from "./walk-limits.ts";

/** Partitions that one merge may open; about 60 one-minute slices. A post has far fewer rows there than a page wants. */
const PARTITIONS_OPENED_MAX = 256;
/** Markers of a length read at once. */
const MARKERS_PER_READ = 64;
/** Slices of a length opened at once where they turn out to hold little. */
const SLICES_AHEAD_MAX = 8;

export interface MergeRequest {
  readonly postId: string;
  readonly sinceMs: number;
  /** The rows after this place, in the order of a walk. */
  readonly after: Position;
  /** Rows of a partition read at once, at least. */
  readonly rowsPerRead: number;
  /** The same where the post turns out to have no slices but the coarsest; `rowsPerRead` unless given. */
  readonly rowsPerColdRead?: number;
}

export type MergeStep =
  /** The next row, newest first; the `id` is the user's. */
  | { readonly kind: "row"; readonly row: Position }
  /** Enough partitions were opened. Every row at or after this place has been given. */
  | { readonly kind: "paused"; readonly at: Position }
  | { readonly kind: "end" };

/**
 * The viewer rows of a post over all of its slices, newest first, each once: the same row may stand in several slices
 * where processes escalated at different times.
 *
 * Slices are opened one after another: a slice only when no row that is at hand can be proven newer than everything in
 * it. So a page of a hot post reads its newest slices, not all.
 */
export interface ViewerMerge {
  /** @param wanted so many rows will be asked for, this one and those after it: they are read together. */
  next(wanted?: number): Promise<MergeStep>;
  /** Whether slices finer than the coarsest were met: the post has many viewers. Known once `next` has been called. */
  isHot(): boolean;
  /** The oldest slice of each length that has any; null where not all slices are known yet. */
  oldestSlices(): readonly Slice[] | null;
}

/** One partition of a slice, read piece by piece. */
interface Partition {
  readonly slice: Slice;
  readonly shard: number;
  /** What was read and not given yet, newest last. */
  rows: Position[];
  /** Where the next piece begins. */
  readThrough: Position;
  ended: boolean;
}

/** The slices of one length that have not been opened yet. */
interface Length {
  readonly seconds: SliceSeconds;
  /** Starts of the slices that are known, newest last. */
  starts: number[];
  /** The oldest start so far. */
  oldestMs: number | null;
  /** Markers below this have not been read; their slices end here at the latest, or at the walk's place. */
  readThroughMs: number;
  ended: boolean;
  /** How many to open next: more each time that they held less than was wanted, as after a campaign is over. */
  openNext: number;
}

export function createViewerMerge(database: Reads, request: MergeRequest): ViewerMerge {
  const { postId, sinceMs, after, rowsPerRead, rowsPerColdRead = rowsPerRead } = request;
  const lengths = SLICE_LENGTHS_SECONDS.map(
    (seconds): Length => ({
      seconds,
      starts: [],
      oldestMs: null,
      readThroughMs: after.viewedAtMs + 1,
      ended: false,
      openNext: 1,
    }),
  );
  let partitions: Partition[] = [];
  let opened = 0;
  let isHot = false;
  let rowsWanted = rowsPerRead;
  let last: Position = after;

  /** Exclusive end of what the unopened slices of a length may hold. */
  function ceilingMs({ seconds, starts, readThroughMs }: Length): number {
    const startMs = starts.at(-1);
    const endMs = startMs === undefined ? readThroughMs : sliceEndMs({ seconds, startMs });
    return Math.min(endMs, after.viewedAtMs + 1);
  }

  async function readMarkers(length: Length): Promise<void> {
    const { seconds, readThroughMs } = length;
    const rows = await database.read(
      "readSliceMarkers",
      // A slice that begins before the window may reach into it.
      [postId, seconds, timestampOf(readThroughMs), timestampOf(sinceMs - seconds * 1_000), MARKERS_PER_READ],
      MARKERS_PER_READ,
    );
    length.starts = rows.map((row) => instantMsOf(row, "slice_start")).reverse();
    length.ended = rows.length < MARKERS_PER_READ;
    if (rows.length > 0 && seconds !== SLICE_LENGTHS_SECONDS[0]) isHot = true;
    const oldest = length.starts[0];
    if (oldest === undefined) return;
    length.readThroughMs = oldest;
    length.oldestMs = oldest;
  }

  async function openSlices(length: Length): Promise<void> {
    const { seconds } = length;
    const starts = length.starts.splice(-length.openNext).reverse();
    const fresh = starts.flatMap((startMs) =>
      Array.from(
        { length: shardsIn(seconds) },
        (_, shard): Partition => ({
          slice: { seconds, startMs },
          shard,
          rows: [],
          readThrough: after,
          ended: false,
        }),
      ),
    );
    partitions.push(...fresh);
    opened += fresh.length;
    await Promise.all(fresh.map(readPartition));
    const found = fresh.reduce((sum, { rows }) => sum + rows.length, 0);
    length.openNext = found < rowsPerRead ? Math.min(2 * length.openNext, SLICES_AHEAD_MAX) : 1;
  }

  async function readPartition(partition: Partition): Promise<void> {
    const { slice, shard, readThrough } = partition;
    const asked = isHot ? rowsWanted : Math.max(rowsWanted, rowsPerColdRead);
    const rows = await database.read(
      "readViewers",
      [
        ...viewerPartition(postId, slice, shard),
        timestampOf(readThrough.viewedAtMs),
        readThrough.id,
        timestampOf(sinceMs),
        NO_ID,
        asked,
      ],
      asked,
    );
    partition.rows = rows
      .map((row) => ({ viewedAtMs: instantMsOf(row, "viewed_at"), id: textOf(row, "user_id") }))
      .reverse();
    partition.ended = rows.length < asked;
    partition.readThrough = partition.rows[0] ?? readThrough;
  }

  /** The partition whose next row is the newest of those at hand. */
  function newestPartition(): Partition | null {
    let newest: Partition | null = null;
    for (const partition of partitions) {
      const row = partition.rows.at(-1);
      const best = newest?.rows.at(-1);
      if (row !== undefined && (best === undefined || isNewer(row, best))) newest = partition;
    }
    return newest;
  }

  return {
    isHot: () => isHot,
    oldestSlices() {
      if (!lengths.every(({ ended }) => ended)) return null;
      return lengths.flatMap(({ seconds, oldestMs }) =>
        oldestMs === null ? [] : [{ seconds, startMs: oldestMs }],
      );
    },
    async next(wanted = 1) {
      rowsWanted = Math.min(Math.max(rowsPerRead, wanted), CHUNK_ROWS_MAX);
      for (;;) {
        partitions = partitions.filter(({ rows, ended }) => rows.length > 0 || !ended);
        const drained = partitions.filter(({ rows }) => rows.length === 0);
        if (drained.length > 0) {
          await Promise.all(drained.map(readPartition));
          continue;
        }
        const newest = newestPartition();
        const row = newest?.rows.at(-1);
        // Whatever may hold a row at or above the one at hand has to be looked into first.
        const above = lengths.filter(
          (length) =>
            (length.starts.length > 0 || !length.ended) &&
            (row === undefined || ceilingMs(length) > row.viewedAtMs),
        );
        if (above.length > 0) {
          const unread = above.filter(({ starts }) => starts.length === 0);
          if (unread.length > 0) {
            await Promise.all(unread.map(readMarkers));
            continue;
          }
          if (opened >= PARTITIONS_OPENED_MAX) {
            const at = { viewedAtMs: Math.max(...above.map(ceilingMs)), id: "" };
            return { kind: "paused", at: isNewer(at, last) ? last : at };
          }
          await Promise.all(above.map(openSlices));
          continue;
        }
        if (newest === null || row === undefined) return { kind: "end" };
        newest.rows.pop();
        if (row.viewedAtMs === last.viewedAtMs && row.id === last.id) continue;
        last = row;
        return { kind: "row", row };
      }
    },
  };
}

/** Whether `a` comes before `b` in a walk. */
function isNewer(a: Position, b: Position): boolean {
  return comparePositions(a, b) > 0;
}
