import type { Position, PostViewerRow, WalkPage, WalkRequest } from "../../domain/walk.ts";
import type { Reads } from "../database.ts";
import type { Membership } from "../membership.ts";
import { createViewerMerge, type MergeStep } from "./viewer-merge.ts";
import { chunkFor, emptyPage, endOf, isEmpty, SCANNED_ROWS_MAX } from "./walk-limits.ts";

/**
 * A page of a post's viewers. A viewer row is given only if its time equals the newest view of that user in
 * membership; so a viewer comes once, and a row whose history was not written, or was erased, not at all.
 */
export async function postViewersPage(
  database: Reads,
  membership: Membership,
  { ownerId, window, after, limit }: WalkRequest,
): Promise<WalkPage<PostViewerRow>> {
  if (isEmpty(window)) return emptyPage(window);
  const { sinceMs } = window;
  const start = after ?? endOf(window);
  const merge = createViewerMerge(database, {
    postId: ownerId,
    sinceMs,
    after: start,
    rowsPerRead: chunkFor(limit, 0),
  });
  /** Kept over the page, since each row is compared with it: null for a user without membership. */
  const newest = new Map<string, PostViewerRow | null>();
  const rows: PostViewerRow[] = [];
  let boundMs: number | null = after === null ? null : window.untilMs;
  let position = start;
  let scanned = 0;

  for (let round = 0; ; round++) {
    const wanted = Math.min(chunkFor(limit - rows.length, round), SCANNED_ROWS_MAX - scanned);
    const { scan, end } = await take(wanted);
    boundMs ??= Math.min(window.untilMs, firstInstantMs(scan, end) ?? window.untilMs);
    await learn(
      [...new Set(scan.map(({ id }) => id))].filter((userId) => !newest.has(userId)),
      boundMs,
    );

    for (const row of scan) {
      const viewer = newest.get(row.id);
      if (viewer?.lastViewedAtMs === row.viewedAtMs) {
        // The page is full and here is one more: the walk goes on, and will not end with an empty page.
        if (rows.length === limit) return { rows, boundMs, next: position };
        rows.push(viewer);
      }
      position = row;
      scanned++;
    }
    if (end.kind === "end") return { rows, boundMs, next: null };
    if (end.kind === "paused") return { rows, boundMs, next: end.at };
    if (scanned >= SCANNED_ROWS_MAX) return { rows, boundMs, next: position };
  }

  /** The next rows of the merge, and why there are no more of them. */
  async function take(
    count: number,
  ): Promise<{ scan: Position[]; end: Exclude<MergeStep, { kind: "row" }> | Full }> {
    const scan: Position[] = [];
    while (scan.length < count) {
      const step = await merge.next();
      if (step.kind !== "row") return { scan, end: step };
      scan.push(step.row);
    }
    return { scan, end: { kind: "full" } };
  }

  async function learn(userIds: readonly string[], untilMs: number): Promise<void> {
    const known = await membership.newestOfUsers(ownerId, userIds, { sinceMs, untilMs });
    for (const userId of userIds) newest.set(userId, null);
    for (const viewer of known) newest.set(viewer.userId, viewer);
  }
}

interface Full {
  readonly kind: "full";
}

/** Just above the newest row; where the page ended before any, where it ended: nothing at or after that was seen. */
function firstInstantMs(scan: readonly Position[], end: MergeStep | Full): number | null {
  const first = scan[0];
  if (first !== undefined) return first.viewedAtMs + 1;
  return end.kind === "paused" ? end.at.viewedAtMs : null;
}
