import type { Window } from "./time.ts";

/**
 * A walk goes over the views of one owner (a user's posts, or a post's viewers), newest first, page after page, and
 * gives each post (viewer) once, at its newest view inside the walk's window.
 */

/** A view's place in a walk: newest first, then by the UTF-8 bytes of the id, greatest first. */
export interface Position {
  readonly viewedAtMs: number;
  /** The post's id in a user's history, the user's id among a post's viewers. */
  readonly id: string;
}

export interface WalkRequest {
  /** Whose walk: the user of `seenPosts`, the post of `postViewers`. */
  readonly ownerId: string;
  /** From the second page on, `untilMs` is the bound that the first page fixed. */
  readonly window: Window;
  /** Go on behind this place; null on the first page. */
  readonly after: Position | null;
  /** 1 to 500. */
  readonly limit: number;
  /** Whether the rows' `views` are wanted, true unless given. Where not, a store may leave them at 1. */
  readonly withViews?: boolean;
}

export interface WalkPage<Row> {
  /** At most `limit`, maybe fewer, even none while there is more to scan. */
  readonly rows: readonly Row[];
  /**
   * The walk's upper bound, exclusive: just above the newest row that the first page saw and never above the window's
   * end. Views dated at or after it cannot disturb the walk.
   */
  readonly boundMs: number;
  /** Where the next page goes on; null when the walk is over. */
  readonly next: Position | null;
}

/** One post in a user's history. The fields are those of the newest view inside the window. */
export interface SeenPostRow {
  readonly postId: string;
  readonly lastViewedAtMs: number;
  /** Views of this post by this user inside the window, up to VIEWS_COUNT_MAX. */
  readonly views: number;
  readonly surface: string | null;
  readonly position: number | null;
  readonly dwellMs: number | null;
}

export interface PostViewerRow {
  readonly userId: string;
  readonly lastViewedAtMs: number;
  /** Views of the post by this user inside the window, up to VIEWS_COUNT_MAX. */
  readonly views: number;
}

/** When a post counts as seen, by the newest VIEWS_COUNT_MAX views of it. */
export interface SeenRule {
  /** 1 to VIEWS_COUNT_MAX. */
  readonly minViews: number;
  /** Shorter views don't count; a view without a dwell time counts only where this is 0. */
  readonly minDwellMs: number;
  /** Only views at or after this instant count (already cut to the retention). */
  readonly sinceMs: number;
}

/** The candidates that are not in `seen`: in the order given, each once. */
export function unseenAmong(candidates: readonly string[], seen: ReadonlySet<string>): string[] {
  return [...new Set(candidates)].filter((postId) => !seen.has(postId));
}
