import { expect } from "vitest";
import type { View } from "../../../src/domain/impression.ts";
import { DAY_MS, type Window } from "../../../src/domain/time.ts";
import type { PostViewerRow, SeenPostRow, SeenRule } from "../../../src/domain/walk.ts";
import {
  PostViewersDocument,
  SeenPostsDocument,
  UnseenPostsDocument,
  UnseenPostsForUsersDocument,
} from "../../../src/generated/operations.ts";
import { query } from "../../kit/graphql-request.ts";
import { EVERYTHING } from "../../kit/views.ts";
import { walkPostViewers, walkSeenPosts } from "../../kit/walks.ts";
import { createOracle, type Oracle } from "../../support/oracle.ts";
import { inParallel } from "./parallel.ts";

const READERS = 8;
/** Small enough that the walks of most users and posts take several pages; prime, so that no count divides by it. */
const PAGE_SIZE = 37;
/** More than any user's posts or any post's users. */
const WHOLE = 500;
const USERS_PER_QUERY = 50;

/** Asks the service every question about every user and every post of these views; each answer must be exact. */
export async function expectReads(url: string, views: readonly View[]): Promise<void> {
  const users = oraclesBy(views, "userId");
  const posts = oraclesBy(views, "postId");
  const candidates = [...posts.keys()];
  const startMs = Math.min(...views.map(({ viewedAtMs }) => viewedAtMs));
  const middleMs = startMs + 3.5 * DAY_MS;
  const oneDay = { sinceMs: middleMs - DAY_MS, untilMs: middleMs };

  await inParallel(READERS, [...users], async ([userId, oracle]) => {
    const seen = (window: Window) => oracle.seenPosts(userId, window).map(seenPostNode);
    expect(await walkSeenPosts(url, userId, PAGE_SIZE), `seenPosts of ${userId}`).toEqual(seen(EVERYTHING));

    const { seenPosts } = await query(url, SeenPostsDocument, { userId, first: WHOLE, ...instants(oneDay) });
    expect(seenPosts.nodes, `one day of ${userId}`).toEqual(seen(oneDay));
    expect(seenPosts.pageInfo.hasNextPage).toBe(false);

    const { unseenPosts } = await query(url, UnseenPostsDocument, { userId, candidates });
    const unseen = unseenBy(oracle, userId, candidates, {});
    expect(unseenPosts, `unseenPosts of ${userId}`).toEqual(unseen);
  });

  await inParallel(READERS, [...posts], async ([postId, oracle]) => {
    const viewers = (window: Window) => oracle.postViewers(postId, window).map(postViewerNode);
    expect(await walkPostViewers(url, postId, PAGE_SIZE), `viewers of ${postId}`).toEqual(
      viewers(EVERYTHING),
    );

    const { postViewers } = await query(url, PostViewersDocument, {
      postId,
      first: WHOLE,
      ...instants(oneDay),
    });
    expect(postViewers.nodes, `one day of ${postId}`).toEqual(viewers(oneDay));
    expect(postViewers.pageInfo.hasNextPage).toBe(false);
  });

  const userIds = [...users.keys()];
  const asked = Array.from({ length: Math.ceil(userIds.length / USERS_PER_QUERY) }, (_, index) =>
    userIds.slice(index * USERS_PER_QUERY, (index + 1) * USERS_PER_QUERY),
  );
  for (const rule of [{ minViews: 2 }, { minViews: 5, sinceMs: middleMs }, { minDwellMs: 1 }]) {
    const { sinceMs, ...rest } = { sinceMs: undefined, ...rule };
    const since = sinceMs === undefined ? null : new Date(sinceMs).toISOString();
    await inParallel(READERS, asked, async (ids) => {
      const answer = await query(url, UnseenPostsForUsersDocument, {
        userIds: ids,
        candidates,
        rule: { ...rest, since },
      });
      expect(answer.users, JSON.stringify(rule)).toEqual(
        ids.map((id) => ({ id, unseenPosts: unseenBy(users.get(id), id, candidates, rule) })),
      );
    });
  }
}

/** For every user, or every post, an oracle of the views that concern it: what it answers is what all would. */
function oraclesBy(views: readonly View[], owner: "userId" | "postId"): Map<string, Oracle> {
  const oracles = new Map<string, Oracle>();
  for (const view of views) {
    const oracle = oracles.get(view[owner]) ?? createOracle();
    oracles.set(view[owner], oracle);
    oracle.add(view);
  }
  return oracles;
}

function unseenBy(
  oracle: Oracle | undefined,
  userId: string,
  candidates: readonly string[],
  rule: Partial<SeenRule>,
): string[] {
  const whole = { minViews: 1, minDwellMs: 0, sinceMs: 0, ...rule };
  const seen = oracle?.seenAmong(userId, candidates, whole);
  return candidates.filter((postId) => seen?.has(postId) !== true);
}

const instants = ({ sinceMs, untilMs }: Window) => ({
  since: new Date(sinceMs).toISOString(),
  until: new Date(untilMs).toISOString(),
});

const seenPostNode = ({ postId, lastViewedAtMs, ...rest }: SeenPostRow) => ({
  ...rest,
  lastViewedAt: new Date(lastViewedAtMs).toISOString(),
  post: { id: postId },
});

const postViewerNode = ({ userId, lastViewedAtMs, views }: PostViewerRow) => ({
  views,
  lastViewedAt: new Date(lastViewedAtMs).toISOString(),
  user: { id: userId },
});
