import { VIEWS_COUNT_MAX } from "../../domain/limits.ts";
import type { Position, SeenPostRow, WalkPage, WalkRequest } from "../../domain/walk.ts";
import type { Reads } from "../database.ts";
import { type StoredView, viewsInWindow } from "../packs/history.ts";
import { comparePositions, emptyPage, isEmpty } from "./walk-limits.ts";

/** A post of the walk, at its newest view, and how often it was viewed. */
interface Counted {
  readonly newest: StoredView;
  views: number;
}

/**
 * A page of a user's seen posts. The user's packs come newest first, so the first view of a post is its newest one; where
 * that lies above the page's place, an earlier page has given the post. The rest of the window is read for the counts.
 */
export async function seenPostsPage(
  database: Reads,
  { ownerId, window, after, limit, withViews = true }: WalkRequest,
): Promise<WalkPage<SeenPostRow>> {
  if (isEmpty(window)) return emptyPage(window);
  const posts = new Map<string, Counted>();
  const page: Counted[] = [];
  let boundMs: number | null = after === null ? null : window.untilMs;
  let isFull = false;

  for await (const visitViews of viewsInWindow(database, ownerId, window)) {
    visitViews((view) => {
      boundMs ??= view.viewedAtMs + 1;
      const known = posts.get(view.postId);
      if (known !== undefined) known.views = Math.min(known.views + 1, VIEWS_COUNT_MAX);
      else if (!isFull) enter({ ...view });
    });
    if (isFull && !withViews) break;
  }
  const last = page.at(-1);
  return {
    rows: page.map(rowOf),
    boundMs: boundMs ?? window.untilMs,
    next: isFull && last !== undefined ? positionOf(last.newest) : null,
  };

  /** A view of a post that has no newer one. */
  function enter(newest: StoredView): void {
    const isBehind = after === null || comparePositions(positionOf(newest), after) < 0;
    if (isBehind && page.length === limit) {
      // Here is one more: the walk goes on, and will not end with an empty page. What is no part of this page counts no more.
      isFull = true;
      return;
    }
    const counted = { newest, views: 1 };
    posts.set(newest.postId, counted);
    if (isBehind) page.push(counted);
  }
}

function positionOf({ viewedAtMs, postId }: StoredView): Position {
  return { viewedAtMs, id: postId };
}

function rowOf({ newest, views }: Counted): SeenPostRow {
  const { postId, viewedAtMs, surface, position, dwellMs } = newest;
  return { postId, lastViewedAtMs: viewedAtMs, views, surface, position, dwellMs };
}
