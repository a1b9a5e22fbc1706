import type { View } from "../../domain/impression.ts";
import type { WallClock } from "../../domain/time.ts";
import { detailsRank } from "../../domain/versions.ts";
import type { WriteOptions } from "../../ports/impression-store.ts";
import type { Database } from "../database.ts";
import type { ErasedUsers } from "../erased-users.ts";
import { checkKey, detailsOf, encoded, repeating, ttlSeconds } from "../rows.ts";
import { type BatchRow, cutIntoBatches } from "./batches.ts";

/**
 * Of two values with one write timestamp the database keeps the one that ends later. Which that is would depend on when
 * and through which host each was written; so the details' rank moves the end, by more than hosts' clocks and a write
 * that waited can. No read shows it: every read is cut to the retention. It takes at most a day.
 */
const RANK_SECONDS = 30;

export interface HistoryWritesOptions {
  readonly database: Database;
  readonly erasedUsers: ErasedUsers;
  readonly retentionMs: number;
  readonly clock: WallClock;
}

/**
 * The second step, the commit point: a view's rows in the user's timeline and membership. Both tables have the same
 * partition key, so on Cassandra a batch of them is one mutation, applied as a whole by each replica. On ScyllaDB a
 * mutation is one table's; the order says timeline, then membership, since no read shows a timeline row without
 * membership.
 */
export function createHistoryWrites({ database, erasedUsers, retentionMs, clock }: HistoryWritesOptions) {
  const columns = {
    receivedAtUs: repeating(encoded.bigint),
    ttl: repeating(encoded.int),
    membershipTtl: repeating(encoded.int),
  };

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
    const groups: BatchRow[][] = [];
    for (const view of views) {
      const ttl = ttlSeconds(view.viewedAtMs, retentionMs, nowMs);
      if (ttl === null || erasedUsers.covers(view)) continue;
      const key = [user, encoded.bigint(view.viewedAtMs), encoded.text(view.postId)];
      const timestamp = columns.receivedAtUs(view.receivedAtUs);
      const membershipTtl = ttl + detailsRank(view) * RANK_SECONDS;
      groups.push([
        { statement: "insertTimelineRow", parameters: [...key, timestamp, columns.ttl(ttl)] },
        {
          statement: "insertMembershipRow",
          parameters: [...key, detailsOf(view), timestamp, columns.membershipTtl(membershipTtl)],
        },
      ]);
    }
    await Promise.all(cutIntoBatches(groups).map((batch) => database.writeBatch(batch, { uncoalesced })));
  };
}
