import type { Position, SeenPostRow, WalkPage, WalkRequest } from "../../domain/walk.ts";
import type { Reads } from "../database.ts";
import type { Membership } from "../membership.ts";
import { instantMsOf, textOf, timestampOf } from "../rows.ts";
import { chunkFor, emptyPage, endOf, isEmpty, NO_ID, SCANNED_ROWS_MAX } from "./walk-limits.ts";

/**
 * A page of a user's timeline. A timeline row is given only if its time equals the newest in membership, so each post
 * comes once, at its newest view, and what is half written is not there yet.
 */
export async function seenPostsPage(
  database: Reads,
  membership: Membership,
  { ownerId, window, after, limit }: WalkRequest,
): Promise<WalkPage<SeenPostRow>> {
  if (isEmpty(window)) return emptyPage(window);
  const { sinceMs } = window;
  /** Null for a post that has a timeline row and no membership. */
  const newest = new Map<string, SeenPostRow | null>();
  const rows: SeenPostRow[] = [];
  let boundMs: number | null = after === null ? null : window.untilMs;
  let position = after ?? endOf(window);
  let scanned = 0;

  for (let round = 0; scanned < SCANNED_ROWS_MAX; round++) {
    const wanted = Math.min(chunkFor(limit - rows.length, round), SCANNED_ROWS_MAX - scanned);
    const found = await database.read(
      "readTimeline",
      [ownerId, timestampOf(position.viewedAtMs), position.id, timestampOf(sinceMs), NO_ID, wanted],
      wanted,
    );
    const scan = found.map(
      (row): Position => ({ viewedAtMs: instantMsOf(row, "viewed_at"), id: textOf(row, "post_id") }),
    );
    boundMs ??= Math.min(window.untilMs, (scan[0]?.viewedAtMs ?? window.untilMs) + 1);
    await learn(
      [...new Set(scan.map(({ id }) => id))].filter((postId) => !newest.has(postId)),
      boundMs,
    );

    for (const row of scan) {
      const post = newest.get(row.id);
      if (post?.lastViewedAtMs === row.viewedAtMs) {
        // The page is full and here is one more: the walk goes on, and will not end with an empty page.
        if (rows.length === limit) return { rows, boundMs, next: position };
        rows.push(post);
      }
      position = row;
      scanned++;
    }
    if (scan.length < wanted) return { rows, boundMs, next: null };
  }
  return { rows, boundMs: boundMs ?? window.untilMs, next: position };

  async function learn(postIds: readonly string[], untilMs: number): Promise<void> {
    const known = await membership.newestOfPosts(ownerId, postIds, { sinceMs, untilMs });
    for (const postId of postIds) newest.set(postId, null);
    for (const post of known) newest.set(post.postId, post);
  }
}
