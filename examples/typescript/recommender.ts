/**
 * Which of these candidates have these users not seen, and what has the first of them seen?
 *
 *     node recommender.ts maria,jakob post-1 post-2 post-3
 */
import { setTimeout } from "node:timers/promises";
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { ClientError, GraphQLClient, type Variables } from "graphql-request";
// In your project: what your own codegen wrote (see README.md).
import {
  SeenPostsDocument,
  type SeenPostsQuery,
  type SeenRule,
  UnseenPostsDocument,
  UnseenPostsForUsersDocument,
} from "../../src/generated/operations.ts";

/** Users in one request. */
const USERS_MAX = 100;
/** At most 500. */
const PAGE_SIZE = 100;
const ATTEMPTS_MAX = 5;
const TIMEOUT_MS = 10_000;
const DAY_MS = 24 * 60 * 60_000;

type SeenPost = SeenPostsQuery["seenPosts"]["nodes"][number];

const { IMPRESSIONS_URL = "http://127.0.0.1:4000", IMPRESSIONS_TOKEN } = process.env;
const client = new GraphQLClient(`${IMPRESSIONS_URL}/graphql`, {
  headers: IMPRESSIONS_TOKEN === undefined ? {} : { authorization: `Bearer ${IMPRESSIONS_TOKEN}` },
});

/** The candidates (at most 1000) that the user has not seen, in the order given. */
async function unseen(userId: string, candidates: string[], rule?: SeenRule): Promise<readonly string[]> {
  return (await ask(UnseenPostsDocument, { userId, candidates, rule })).unseenPosts;
}

/** The same for many users, one request for each hundred of them. */
async function unseenForUsers(userIds: string[], candidates: string[], rule?: SeenRule) {
  const unseenBy = new Map<string, readonly string[]>();
  for (let start = 0; start < userIds.length; start += USERS_MAX) {
    const batch = userIds.slice(start, start + USERS_MAX);
    const { users } = await ask(UnseenPostsForUsersDocument, { userIds: batch, candidates, rule });
    for (const { id, unseenPosts } of users) unseenBy.set(id, unseenPosts);
  }
  return unseenBy;
}

/** Each post that the user has seen, newest first. Pages may be empty: hasNextPage says when to stop. */
async function* history(userId: string): AsyncGenerator<SeenPost> {
  let after: string | null = null;
  for (;;) {
    const { seenPosts }: SeenPostsQuery = await ask(SeenPostsDocument, { userId, first: PAGE_SIZE, after });
    yield* seenPosts.nodes;
    if (!seenPosts.pageInfo.hasNextPage) return;
    after = seenPosts.pageInfo.endCursor;
  }
}

/** Asks again after 429, 503 and lost connections, no sooner than the service says. */
async function ask<Data, V extends Variables>(
  document: TypedDocumentNode<Data, V>,
  variables: V,
): Promise<Data> {
  for (let attempt = 1; ; attempt++) {
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      return await client.request<Data, Variables>({ document, variables, signal });
    } catch (error) {
      const waitMs = retryAfterMs(error, attempt);
      if (waitMs === undefined || attempt === ATTEMPTS_MAX) throw error;
      await setTimeout(waitMs);
    }
  }
}

/** How long to wait before the next attempt; undefined if asking again would not help. */
function retryAfterMs(error: unknown, attempt: number): number | undefined {
  const backoffMs = 500 * 2 ** attempt;
  // Anything else is a request that got no answer.
  if (!(error instanceof ClientError)) return backoffMs;
  const { status, headers, errors = [] } = error.response;
  if (status !== 429 && status !== 503) return undefined;
  const exact = errors.map(({ extensions }) => Number(extensions?.retryAfterMs ?? 0));
  // Without the service's own words (a proxy on the way) the header, in seconds.
  const seconds = Number(new Headers(headers).get("retry-after"));
  return Math.max(0, ...exact) || seconds * 1_000 || backoffMs;
}

async function main([users = "", ...candidates]: string[]): Promise<void> {
  const userIds = users.split(",");
  const [userId = ""] = userIds;
  // A post may come back when it was last seen a month ago.
  const rule = { since: new Date(Date.now() - 30 * DAY_MS).toISOString() };

  console.log(`${userId} has not seen:`, ...(await unseen(userId, candidates, rule)));
  console.log("all users, in one request:");
  for (const [id, unseenPosts] of await unseenForUsers(userIds, candidates, rule)) {
    console.log(`${id}:`, ...unseenPosts);
  }
  console.log(`${userId} has seen:`);
  for await (const { lastViewedAt, post, views } of history(userId)) {
    console.log(lastViewedAt, post.id, `${views}x`);
  }
}

await main(process.argv.slice(2)).catch((error: unknown) => {
  if (!(error instanceof ClientError)) throw error;
  for (const { message, extensions } of error.response.errors ?? []) {
    console.error(`${extensions?.code}: ${message}`);
  }
  process.exitCode = 1;
});
