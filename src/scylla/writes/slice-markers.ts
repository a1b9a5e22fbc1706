import { LRUCache } from "lru-cache";
import { DAY_MS, type WallClock } from "../../domain/time.ts";
import type { Database } from "../database.ts";
import { timestampOf } from "../rows.ts";
import { type Slice, sliceEndMs, sliceKey } from "../slices.ts";

/** How much longer a marker lives than the last row that its slice can hold. */
const MARKER_SLACK_MS = DAY_MS;
/** How long a marker counts as written: well under its slack, whatever clocks and settings other processes have. */
const MARKER_REMEMBERED_MS = DAY_MS / 4;
/** Markers remembered at once: about 20 MB. */
const MARKERS_REMEMBERED_MAX = 100_000;

/** Writes down which slices exist, so that readers find every row whichever process escalated when. */
export interface SliceMarkers {
  /**
   * Resolves once the slice's marker is stored; null where this process stored it not long ago. Must be awaited before the
   * first row of the slice is written.
   */
  ensure(postId: string, slice: Slice): Promise<void> | null;
}

interface Marker {
  /** Until when it counts as written. */
  readonly untilMs: number;
  /** Null once it is. */
  written: Promise<void> | null;
}

export function createSliceMarkers(options: {
  readonly database: Database;
  readonly retentionMs: number;
  readonly clock: WallClock;
}): SliceMarkers {
  const { database, retentionMs, clock } = options;
  const known = new LRUCache<string, Marker>({ max: MARKERS_REMEMBERED_MAX });

  return {
    ensure(postId, slice) {
      const nowMs = clock.nowMs();
      const key = `${sliceKey(slice)} ${postId}`;
      const stored = known.get(key);
      if (stored !== undefined && stored.untilMs > nowMs) return stored.written;
      const ttl = Math.ceil((sliceEndMs(slice) + retentionMs + MARKER_SLACK_MS - nowMs) / 1_000);
      const written = database.write("insertSliceMarker", [
        postId,
        slice.seconds,
        timestampOf(slice.startMs),
        ttl,
      ]);
      const marker: Marker = { untilMs: nowMs + MARKER_REMEMBERED_MS, written };
      known.set(key, marker);
      written.then(
        () => {
          marker.written = null;
        },
        () => known.delete(key),
      );
      return written;
    },
  };
}
