import { request as httpRequest } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DAY_MS } from "../../src/domain/time.ts";
import type { ImpressionStore } from "../../src/ports/impression-store.ts";
import { recordViews, viewOf } from "../kit/views.ts";
import { type Api, startApi } from "../support/api.ts";

/**
 * What one request asks of the store, counted at its port. What reaches the database of that is counted in
 * cluster-statements.test.ts.
 */

const USERS = ["u0", "u1", "u2", "u3"];
const POSTS = ["p0", "p1", "p2", "p3", "p4"];
/** As in loaders.ts. */
const READS_AT_ONCE = 16;

let api: Api;
/** The name and first argument of every read, and how many have been answered. */
let asked: {
  readonly read: string;
  readonly of: unknown;
  readonly postIds?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}[];
let answered: number;
/** Reads wait for it before they begin. */
let gate: Promise<void>;

beforeEach(async () => {
  asked = [];
  answered = 0;
  gate = Promise.resolve();
  api = await startApi({ override: ({ store }) => ({ store: counting(store) }) });
  const startMs = Date.now() - DAY_MS;
  const views = USERS.flatMap((userId, user) =>
    POSTS.map((postId, post) => viewOf({ userId, postId, viewedAtMs: startMs + user * 10 + post })),
  );
  await recordViews(api.engine.store, views);
});
afterEach(() => api.stop());

function counting(store: ImpressionStore): ImpressionStore {
  async function count<Answer>(entry: (typeof asked)[number], ask: () => Promise<Answer>): Promise<Answer> {
    asked.push(entry);
    await gate;
    try {
      return await ask();
    } finally {
      answered++;
    }
  }
  return {
    ...store,
    seenPosts: (request, signal) =>
      count({ read: "seenPosts", of: request.ownerId }, () => store.seenPosts(request, signal)),
    postViewers: (request, signal) =>
      count({ read: "postViewers", of: request.ownerId }, () => store.postViewers(request, signal)),
    seenAmong: (userId, postIds, rule, signal) =>
      count({ read: "seenAmong", of: userId, postIds, signal }, () =>
        store.seenAmong(userId, postIds, rule, signal),
      ),
    findErasure: (id) => count({ read: "findErasure", of: id }, () => store.findErasure(id)),
    health: () => count({ read: "health", of: null }, () => store.health()),
  };
}

test("each user and each post is walked once, however often the query comes to it", async () => {
  await api.run(`{ seenPosts(userId: "u0", first: 9) { nodes { post { viewers(first: 9) { nodes { user {
    seenPosts(first: 9) { nodes { post { id } } } } } } } } } }`);
  const owners = (read: string) => asked.filter((entry) => entry.read === read).map(({ of }) => of);
  expect(owners("seenPosts").toSorted()).toEqual(USERS);
  expect(owners("postViewers").toSorted()).toEqual(POSTS);
  expect(asked).toHaveLength(USERS.length + POSTS.length);
});

test("lists of one user that overlap are one question, in pieces that the store takes", async () => {
  const candidates = (first: number) => Array.from({ length: 1_000 }, (_, index) => `c${first + index}`);
  const data = await api.run<Record<string, string[]>>(
    `query ($first: [ID!]!, $second: [ID!]!) {
      a: unseenPosts(userId: "u0", candidates: $first)
      b: unseenPosts(userId: "u0", candidates: $second)
      c: unseenPosts(userId: "u0", candidates: ["p0", "new"])
      other: unseenPosts(userId: "u1", candidates: ["p0", "new"])
      rule: unseenPosts(userId: "u0", candidates: ["p0", "new"], rule: { minViews: 2 })
    }`,
    { first: candidates(0), second: candidates(500) },
  );
  expect(data).toEqual({
    a: candidates(0),
    b: candidates(500),
    c: ["new"],
    other: ["new"],
    rule: ["p0", "new"],
  });
  expect(asked.map(({ of, postIds }) => [of, postIds?.length])).toEqual([
    ["u0", 1_000],
    ["u0", 502],
    ["u1", 2],
    ["u0", 2],
  ]);
});

test("an erasure and the store's health are read once", async () => {
  await api.run(`{
    a: erasure(id: "none") { status } b: erasure(id: "none") { status }
    c: pipeline { storeHealthy } d: pipeline { storeHealthy }
  }`);
  expect(asked.map(({ read }) => read).toSorted()).toEqual(["findErasure", "health"]);
});

test("so many reads run at once, and none begins for a client that went away", async () => {
  const opened = Promise.withResolvers<void>();
  gate = opened.promise;
  const client = httpRequest(new URL("/graphql", api.url), {
    method: "POST",
    headers: { "content-type": "application/json" },
  });
  client.on("error", () => undefined);
  const ids = Array.from({ length: 100 }, (_, index) => `user-${index}`);
  client.end(
    JSON.stringify({
      query: `query ($ids: [ID!]!) { users(ids: $ids) { unseenPosts(candidates: ["p0"]) } }`,
      variables: { ids },
    }),
  );
  await expect.poll(() => asked.length, { timeout: 60_000 }).toBe(READS_AT_ONCE);
  client.destroy();
  await expect.poll(() => asked[0]?.signal?.aborted, { timeout: 60_000 }).toBe(true);
  // Another request gets its answer: it does not wait behind those.
  gate = Promise.resolve();
  await api.run(`{ unseenPosts(userId: "u0", candidates: ["p0"]) }`);
  opened.resolve();
  await expect.poll(() => answered, { timeout: 60_000 }).toBe(READS_AT_ONCE + 1);
  await api.run(`{ unseenPosts(userId: "u0", candidates: ["p1"]) }`);
  expect(asked).toHaveLength(READS_AT_ONCE + 2);
});
