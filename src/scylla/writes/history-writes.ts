import type { View } from "../../domain/impression.ts";
import type { WallClock } from "../../domain/time.ts";
import type { WriteOptions } from "../../ports/impression-store.ts";
import type { Database } from "../database.ts";
import type { ErasedUsers } from "../erased-users.ts";
import { packsOf } from "../packs/pack-codec.ts";
import { checkKey, encoded, repeating, ttlSeconds } from "../rows.ts";
import { type BatchRow, cutIntoBatches } from "./batches.ts";

export interface HistoryWritesOptions {
  readonly database: Database;
  readonly erasedUsers: ErasedUsers;
  readonly retentionMs: number;
  readonly clock: WallClock;
}

/**
 * The second step, the commit point: a user's views that were received as one become one row, a pack. A pack is written
 * whole or not at all, on ScyllaDB too.
 */
export function createHistoryWrites({ database, erasedUsers, retentionMs, clock }: HistoryWritesOptions) {
  const receivedAtUsOf = repeating(encoded.bigint);
  const ttlOf = repeating(encoded.int);

  return async (
    userId: string,
    views: readonly View[],
    { uncoalesced = false }: WriteOptions = {},
  ): Promise<void> => {
    checkKey("userId", userId);
    for (const { postId } of views) checkKey("postId", postId);
    await erasedUsers.ready();

    const nowMs = clock.nowMs();
    const user = encoded.text(userId);
    const living = views.filter(
      (view) => ttlSeconds(view.viewedAtMs, retentionMs, nowMs) !== null && !erasedUsers.covers(view),
    );
    const rows: BatchRow[] = [];
    for (const [receivedAtUs, received] of receivedTogether(living)) {
      const timestamp = receivedAtUsOf(receivedAtUs);
      for (const { newestAtMs, id, bytes } of packsOf(received)) {
        const ttl = ttlOf(ttlSeconds(newestAtMs, retentionMs, nowMs) ?? 1);
        const parameters = [user, encoded.bigint(newestAtMs), id, bytes, timestamp, ttl];
        rows.push({ statement: "insertPack", parameters });
      }
    }
    const batches = cutIntoBatches(rows.map((row) => [row]));
    await Promise.all(batches.map((batch) => database.writeBatch(batch, { uncoalesced })));
  };
}

/** Views by their receivedAt, which a pack has one of; mostly all are of one submission. */
function receivedTogether(views: readonly View[]): Iterable<readonly [number, readonly View[]]> {
  const [first] = views;
  if (first === undefined) return [];
  const { receivedAtUs } = first;
  if (views.every((view) => view.receivedAtUs === receivedAtUs)) return [[receivedAtUs, views]];
  return Map.groupBy(views, (view) => view.receivedAtUs);
}
