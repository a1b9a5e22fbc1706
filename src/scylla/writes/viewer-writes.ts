import type { View } from "../../domain/impression.ts";
import type { WallClock } from "../../domain/time.ts";
import type { WriteOptions } from "../../ports/impression-store.ts";
import type { Database } from "../database.ts";
import type { ErasedUsers } from "../erased-users.ts";
import { checkKey, encoded, timestampOf, ttlSeconds } from "../rows.ts";
import { type Slice, shardOf, sliceKey } from "../slices.ts";
import { type BatchRow, cutIntoBatches } from "./batches.ts";
import { createSliceChooser } from "./slice-chooser.ts";
import { createSliceMarkers } from "./slice-markers.ts";

export interface ViewerWritesOptions {
  readonly database: Database;
  readonly erasedUsers: ErasedUsers;
  readonly retentionMs: number;
  readonly clock: WallClock;
  readonly sliceRowsMax: number;
}

/**
 * The first step of a view: its row among the post's viewers. Markers first, rows when the markers are stored: a row
 * in a slice without a marker would be found by no read, not even by an erasure.
 */
export function createViewerWrites(options: ViewerWritesOptions) {
  const { database, erasedUsers, retentionMs, clock } = options;
  const markers = createSliceMarkers({ database, retentionMs, clock });
  const chooser = createSliceChooser({
    sliceRowsMax: options.sliceRowsMax,
    hasFiner: async (postId, { sinceMs, untilMs, finer }) => {
      const found = await database.read(
        "hintFinerSlice",
        [postId, finer, timestampOf(sinceMs), timestampOf(untilMs)],
        1,
      );
      return found.length > 0;
    },
  });

  return async (
    postId: string,
    views: readonly View[],
    { uncoalesced = false }: WriteOptions = {},
  ): Promise<void> => {
    checkKey("postId", postId);
    checkKey("userId", ...views.map(({ userId }) => userId));
    await erasedUsers.ready();

    const nowMs = clock.nowMs();
    const post = encoded.text(postId);
    const slices = new Map<string, Slice>();
    const partitions = new Map<string, BatchRow[][]>();
    for (const view of views) {
      const ttl = ttlSeconds(view.viewedAtMs, retentionMs, nowMs);
      if (ttl === null || erasedUsers.covers(view)) continue;
      const slice = await chooser.place(postId, view.viewedAtMs);
      slices.set(sliceKey(slice), slice);
      const shard = shardOf(slice.seconds, view.userId);
      const partition = `${sliceKey(slice)} ${shard}`;
      const rows = partitions.get(partition) ?? [];
      partitions.set(partition, rows);
      rows.push([
        {
          statement: "insertViewer",
          parameters: [
            post,
            encoded.int(slice.seconds),
            encoded.bigint(slice.startMs),
            encoded.int(shard),
            encoded.bigint(view.viewedAtMs),
            encoded.text(view.userId),
            encoded.bigint(view.receivedAtUs),
            encoded.int(ttl),
          ],
        },
      ]);
    }
    await Promise.all([...slices.values()].map((slice) => markers.ensure(postId, slice)));
    const batches = [...partitions.values()].flatMap(cutIntoBatches);
    await Promise.all(batches.map((batch) => database.writeBatch(batch, { uncoalesced })));
  };
}

/** The partition key of viewers_by_post, in the order of its columns. */
export function viewerPartition(postId: string, slice: Slice, shard: number): unknown[] {
  return [postId, slice.seconds, timestampOf(slice.startMs), shard];
}
