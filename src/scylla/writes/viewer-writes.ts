import type { View } from "../../domain/impression.ts";
import type { WallClock } from "../../domain/time.ts";
import type { WriteOptions } from "../../ports/impression-store.ts";
import type { Database } from "../database.ts";
import type { ErasedUsers } from "../erased-users.ts";
import { checkKey, encoded, repeating, timestampOf, ttlSeconds } from "../rows.ts";
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

  const columns = {
    user: repeating(encoded.text),
    seconds: repeating(encoded.int),
    startMs: repeating(encoded.bigint),
    shard: repeating(encoded.int),
    viewedAtMs: repeating(encoded.bigint),
    receivedAtUs: repeating(encoded.bigint),
    ttl: repeating(encoded.int),
  };

  return async (
    postId: string,
    views: readonly View[],
    { uncoalesced = false }: WriteOptions = {},
  ): Promise<void> => {
    checkKey("postId", postId);
    for (const { userId } of views) checkKey("userId", userId);
    await erasedUsers.ready();

    const nowMs = clock.nowMs();
    const post = encoded.text(postId);
    const partitions = new Map<string, Partition>();
    let partition: Partition | null = null;
    for (const view of views) {
      const ttl = ttlSeconds(view.viewedAtMs, retentionMs, nowMs);
      if (ttl === null || erasedUsers.covers(view)) continue;
      const placed = chooser.place(postId, view.viewedAtMs);
      const slice = placed instanceof Promise ? await placed : placed;
      const shard = shardOf(slice.seconds, view.userId);
      if (partition === null || !isOf(partition, slice, shard)) {
        const key = `${sliceKey(slice)} ${shard}`;
        partition = partitions.get(key) ?? {
          slice,
          shard,
          key: [post, columns.seconds(slice.seconds), columns.startMs(slice.startMs), columns.shard(shard)],
          groups: [],
        };
        partitions.set(key, partition);
      }
      const parameters = [
        ...partition.key,
        columns.viewedAtMs(view.viewedAtMs),
        columns.user(view.userId),
        columns.receivedAtUs(view.receivedAtUs),
        columns.ttl(ttl),
      ];
      partition.groups.push([{ statement: "insertViewer", parameters }]);
    }
    const written = [...partitions.values()];
    const markersToStore = written.flatMap(({ slice }) => markers.ensure(postId, slice) ?? []);
    if (markersToStore.length > 0) await Promise.all(markersToStore);
    const batches = written.flatMap(({ groups }) => cutIntoBatches(groups));
    await Promise.all(batches.map((batch) => database.writeBatch(batch, { uncoalesced })));
  };
}

/** The rows of one partition of viewers_by_post. */
interface Partition {
  readonly slice: Slice;
  readonly shard: number;
  /** The columns of its key. */
  readonly key: readonly Buffer[];
  readonly groups: BatchRow[][];
}

function isOf({ slice: { seconds, startMs }, shard }: Partition, slice: Slice, shardOfRow: number): boolean {
  return seconds === slice.seconds && startMs === slice.startMs && shard === shardOfRow;
}

/** The partition key of viewers_by_post, in the order of its columns. */
export function viewerPartition(postId: string, slice: Slice, shard: number): unknown[] {
  return [postId, slice.seconds, timestampOf(slice.startMs), shard];
}
