import { VIEWS_COUNT_MAX } from "../../domain/limits.ts";
import type { SeenRule } from "../../domain/walk.ts";
import type { Reads } from "../database.ts";
import { packPages, viewsInWindow } from "../packs/history.ts";
import { forEachView } from "../packs/pack-codec.ts";
import { TAILS, tailOfId } from "../packs/pack-layout.ts";
import type { PackReader } from "../packs/pack-reader.ts";

/**
 * Those of the posts that the user has seen by the rule: one statement for the user, whatever the number of posts. Reading
 * ends where every post is decided.
 */
export function seenAmong(
  reads: Reads,
  userId: string,
  postIds: readonly string[],
  rule: SeenRule,
): Promise<Set<string>> {
  const isAnyView = rule.minViews === 1 && rule.minDwellMs === 0;
  return isAnyView
    ? viewedAmong(reads, userId, postIds, rule.sinceMs)
    : countedAmong(reads, userId, postIds, rule);
}

async function viewedAmong(
  reads: Reads,
  userId: string,
  postIds: readonly string[],
  sinceMs: number,
): Promise<Set<string>> {
  const undecided = new Set(postIds);
  const seen = new Set<string>();
  if (undecided.size === 0) return seen;
  const tails = new Uint8Array(TAILS);
  for (const postId of undecided) tails[tailOfId(postId)] = 1;
  const visit = (view: PackReader) => {
    if (view.viewedAtMs < sinceMs || tails[view.tail()] === 0) return;
    const postId = view.postId();
    if (undecided.delete(postId)) seen.add(postId);
  };
  for await (const packs of packPages(reads, userId, { sinceMs, untilMs: Number.POSITIVE_INFINITY })) {
    for (const { bytes, newestAtMs, id } of packs) forEachView(bytes, newestAtMs, id, visit);
    if (undecided.size === 0) break;
  }
  return seen;
}

/** The filter decides what counts before anything is counted; the newest VIEWS_COUNT_MAX views of a post are looked at. */
async function countedAmong(
  reads: Reads,
  userId: string,
  postIds: readonly string[],
  { minViews, minDwellMs, sinceMs }: SeenRule,
): Promise<Set<string>> {
  const undecided = new Map(postIds.map((postId) => [postId, { looked: 0, counted: 0 }]));
  const seen = new Set<string>();
  if (undecided.size === 0) return seen;
  const window = { sinceMs, untilMs: Number.POSITIVE_INFINITY };
  for await (const visitViews of viewsInWindow(reads, userId, window)) {
    visitViews(({ postId, dwellMs }) => {
      const post = undecided.get(postId);
      if (post === undefined) return;
      post.looked++;
      if (minDwellMs === 0 || (dwellMs ?? -1) >= minDwellMs) post.counted++;
      if (post.counted >= minViews) seen.add(postId);
      if (post.counted >= minViews || post.looked >= VIEWS_COUNT_MAX) undecided.delete(postId);
    });
    if (undecided.size === 0) break;
  }
  return seen;
}
