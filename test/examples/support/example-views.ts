import { expect, vi } from "vitest";
import type { View } from "../../../src/domain/impression.ts";
import { DAY_MS } from "../../../src/domain/time.ts";
import { PipelineDocument, RecordImpressionsDocument } from "../../../src/generated/operations.ts";
import { query } from "../../kit/graphql-request.ts";
import { createRandom } from "../../kit/random.ts";
import { EVERYTHING, viewOf } from "../../kit/views.ts";
import { createOracle } from "../../support/oracle.ts";

const USERS = 100;
const POSTS = 500;
/** More than two of the examples' pages, and less than a mutation holds. */
const VIEWS_OF_FIRST_USER = 400;
const VIEWS_OF_OTHERS = 30;
/** The examples' rule: a post may return when it was last seen so long ago. */
const RETURNS_AFTER_MS = 30 * DAY_MS;

/** The users and posts of an example. */
export interface ExampleQuestion {
  readonly views: readonly View[];
  /** The history is the first one's. */
  readonly userIds: readonly string[];
  readonly candidates: readonly string[];
}

/** A hundred users' views of the last month and of the two before; none near the edge between them. */
export function sampleViews(): ExampleQuestion {
  const random = createRandom(5);
  const nowMs = Date.now();
  const userIds = Array.from({ length: USERS }, (_, index) => (index === 0 ? "maria" : `user-${index}`));
  const candidates = Array.from({ length: POSTS }, (_, index) => `post-${index}`);
  const views = userIds.flatMap((userId, index) =>
    Array.from({ length: index === 0 ? VIEWS_OF_FIRST_USER : VIEWS_OF_OTHERS }, () => {
      const ageMs = random.integer(60_000, 29 * DAY_MS) + (random.chance(0.5) ? 31 * DAY_MS : 0);
      return viewOf({ userId, postId: random.pick(candidates), viewedAtMs: nowMs - ageMs });
    }),
  );
  return { views, userIds, candidates };
}

/** Records the views through the mutation, one list for each user, and waits until the workers have stored them. */
export async function recordUntilStored(url: string, views: readonly View[]): Promise<void> {
  for (const [userId, seen] of Map.groupBy(views, (view) => view.userId)) {
    const impressions = seen.map(({ postId, viewedAtMs }) => ({ postId, viewedAt: iso(viewedAtMs) }));
    await query(url, RecordImpressionsDocument, { input: { userId, impressions } });
  }
  await untilStored(url);
}

/** Waits until the workers have stored what the service has accepted. */
export async function untilStored(url: string): Promise<void> {
  await vi.waitFor(async () => expect((await query(url, PipelineDocument, {})).pipeline.pending).toBe(0), {
    timeout: 60_000,
    interval: 100,
  });
}

/** The expected output of every example, computed by the oracle. */
export function linesOf({ views, userIds, candidates }: ExampleQuestion): string[] {
  const rule = { minViews: 1, minDwellMs: 0, sinceMs: Date.now() - RETURNS_AFTER_MS };
  // One for each user: it looks at all that it has for every question.
  const oracleOf = (userId: string) => {
    const oracle = createOracle();
    for (const view of views) if (view.userId === userId) oracle.add(view);
    return oracle;
  };
  const unseen = (userId: string) => {
    const seen = oracleOf(userId).seenAmong(userId, candidates, rule);
    return candidates.filter((postId) => !seen.has(postId));
  };
  const [user = ""] = userIds;
  return [
    [`${user} has not seen:`, ...unseen(user)].join(" "),
    "all users, in one request:",
    ...userIds.map((userId) => [`${userId}:`, ...unseen(userId)].join(" ")),
    `${user} has seen:`,
    ...oracleOf(user)
      .seenPosts(user, EVERYTHING)
      .map(({ lastViewedAtMs, postId, views: times }) => `${iso(lastViewedAtMs)} ${postId} ${times}x`),
  ];
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
