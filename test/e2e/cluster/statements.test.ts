import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { View } from "../../../src/domain/impression.ts";
import { DAY_MS } from "../../../src/domain/time.ts";
import { createRandom } from "../../kit/random.ts";
import { recordViews, viewOf } from "../../kit/views.ts";
import type { Api } from "../../support/api.ts";
import { type ClusterApi, startClusterApi } from "../../support/cluster-api.ts";
import { createOracle, type Oracle } from "../../support/oracle.ts";
import { noteSentStatements } from "../../support/sent-statements.ts";

/**
 * What the queries of a recommender cost: the statements that reach the database, counted at the driver, and the bound
 * that docs/capacity.md gives for them.
 */

/** Users in one IN, and packs in one page of a history. */
const USERS_PER_STATEMENT = 25;
const PACKS_PER_PAGE = 1_000;
/** Marker rows of a post are kept by length of slice. */
const SLICE_LENGTHS = 4;

let installation: ClusterApi;
let api: Api;
let sent: ReturnType<typeof noteSentStatements>;

beforeAll(async () => {
  installation = await startClusterApi();
  api = installation.api;
  sent = noteSentStatements();
});
beforeEach(() => void sent.all.splice(0));
afterAll(async () => {
  sent?.stop();
  await installation?.stop();
});

const UNSEEN = `query ($ids: [ID!]!, $candidates: [ID!]!) {
  users(ids: $ids) { id unseenPosts(candidates: $candidates) }
}`;

interface Unseen {
  readonly users: readonly { readonly id: string; readonly unseenPosts: readonly string[] }[];
}

describe("nested walks", () => {
  const USERS = Array.from({ length: 10 }, (_, index) => `nested-u${index}`);
  const POSTS = Array.from({ length: 20 }, (_, index) => `nested-p${index}`);
  const NESTED = `query ($userId: ID!) {
    seenPosts(userId: $userId, first: 20) { nodes { post { id
      viewers(first: 10) { nodes { user { id
        seenPosts(first: 20) { nodes { post { id } } }
      } } }
    } } }
  }`;

  beforeAll(async () => {
    const startMs = Date.now() - DAY_MS;
    const views = USERS.flatMap((userId, user) =>
      POSTS.map((postId, post) => viewOf({ userId, postId, viewedAtMs: startMs + user * 20 + post })),
    );
    await recordViews(api.engine.store, views);
  });

  test("each walk is read once, however often it is asked for", async () => {
    const { seenPosts } = await api.run<{
      seenPosts: {
        nodes: {
          post: {
            id: string;
            viewers: { nodes: { user: { id: string; seenPosts: { nodes: { post: { id: string } }[] } } }[] };
          };
        }[];
      };
    }>(NESTED, { userId: USERS[0] });

    // 20 posts with 10 viewers each, each with 20 posts: 4,000 nodes at the bottom.
    const newestFirst = POSTS.toReversed();
    expect(seenPosts.nodes.map(({ post }) => post.id)).toEqual(newestFirst);
    for (const { post } of seenPosts.nodes) {
      expect(post.viewers.nodes.map(({ user }) => user.id)).toEqual(USERS.toReversed());
      for (const { user } of post.viewers.nodes) {
        expect(user.seenPosts.nodes.map((node) => node.post.id)).toEqual(newestFirst);
      }
    }

    // 221 walks are asked for; 10 users and 20 posts are walked. A post's walk reads its viewers, and their packs of that time.
    expect(sent.counts()).toEqual({
      readPacks: USERS.length,
      readSliceMarkers: POSTS.length * SLICE_LENGTHS,
      readViewers: POSTS.length,
      readPacksOfUsers: POSTS.length * Math.ceil(USERS.length / USERS_PER_STATEMENT),
    });
  });
});

describe("thousands of views of one post by one user", () => {
  const VIEWS = 4_500;
  const ROWS_PER_PAGE = 2_000;
  const others = ["a", "b", "y", "z"];
  const PAGES = Math.ceil((VIEWS + others.length) / PACKS_PER_PAGE);

  beforeAll(async () => {
    const startMs = Date.now() - DAY_MS;
    const heavy = Array.from({ length: VIEWS }, (_, index) =>
      viewOf({ userId: "heavy-u", postId: "heavy-p", viewedAtMs: startMs - index, dwellMs: 10 }),
    );
    const around = others.flatMap((name) => [
      viewOf({ userId: "heavy-u", postId: name, viewedAtMs: startMs + 1, dwellMs: 5_000 }),
      viewOf({ userId: name, postId: "heavy-p", viewedAtMs: startMs + 1 }),
    ]);
    await recordViews(api.engine.store, [...heavy, ...around]);
  });

  /** Rows that the statements of this name may have been answered with. */
  const rowsOf = (name: string) =>
    sent.all
      .filter((statement) => statement.name === name)
      .reduce((sum, { parameters }) => sum + Number(parameters.at(-1)), 0);

  test.each([
    ["seenPosts", "heavy-u", "userId", { hasNextPage: false }],
    ["postViewers", "heavy-p", "postId", { hasNextPage: true }],
  ])("cost a page of %s no more than its limits", async (field, id, argument, pageInfo) => {
    const data = await api.run<Record<string, { nodes: { views: number }[] }>>(
      `query ($id: ID!) { ${field}(${argument}: $id) { nodes { views } pageInfo { hasNextPage } } }`,
      { id },
    );
    expect(data[field]).toEqual({
      nodes: [...others.map(() => ({ views: 1 })), { views: 1_000 }],
      pageInfo,
    });
    expect(rowsOf("readViewers")).toBeLessThanOrEqual(2 * ROWS_PER_PAGE);
    // A history is read whole to be counted; of a post's viewer no more than 1,000 views.
    const { readPacks = 0, readPacksOfUsers = 0 } = sent.counts();
    if (field === "seenPosts") expect(readPacks).toBe(PAGES);
    else expect(readPacksOfUsers).toBeLessThanOrEqual(PAGES);
  });

  test("cost a page that does not ask for the counts what it shows", async () => {
    const { seenPosts, postViewers } = await api.run<
      Record<string, { nodes: { lastViewedAt: string }[]; pageInfo: { hasNextPage: boolean } }>
    >(`{
      seenPosts(userId: "heavy-u", first: 2) { nodes { lastViewedAt } pageInfo { hasNextPage } }
      postViewers(postId: "heavy-p", first: 2) { nodes { lastViewedAt } pageInfo { hasNextPage } }
    }`);
    for (const page of [seenPosts, postViewers]) {
      expect(page?.nodes).toHaveLength(2);
      expect(page?.pageInfo.hasNextPage).toBe(true);
    }
    // The packs around the viewers on the page, and the newest ones of the user.
    expect(sent.counts()).toMatchObject({ readPacks: 1, readPacksOfUsers: 1 });
  });

  test.each([
    ["", [...others, "heavy-p"]],
    ["rule: { minViews: 1000 }", ["heavy-p"]],
    ["rule: { minDwellMs: 1000 }", others],
  ])("cost unseenPosts(%s) the pages of the history", async (rule, seen) => {
    const candidates = [...others, "heavy-p", "unknown"];
    const { unseenPosts } = await api.run<{ unseenPosts: string[] }>(
      `query ($candidates: [ID!]!) { unseenPosts(userId: "heavy-u", candidates: $candidates, ${rule}) }`,
      { candidates },
    );
    expect(unseenPosts).toEqual(candidates.filter((postId) => !seen.includes(postId)));
    expect(sent.counts()).toEqual({ readPacks: PAGES });
  });
});

describe("unseenPosts for many users", () => {
  const USERS = Array.from({ length: 120 }, (_, index) => `user-${index}`);
  const POSTS = Array.from({ length: 1_500 }, (_, index) => `post-${index}`);
  const IMPRESSIONS = 50_000;
  /** By user, since an oracle looks at each of its views for each question. */
  const oracles = new Map<string, Oracle>(USERS.map((userId) => [userId, createOracle()]));
  const seed = Number(process.env.BULK_SEED ?? Date.now() % 1_000_000);
  const random = createRandom(seed);

  beforeAll(async () => {
    console.info(`BULK_SEED=${seed}`);
    const startMs = Date.now() - 20 * DAY_MS;
    // Exactly so many different ones: no two at one instant.
    const views = Array.from(
      { length: IMPRESSIONS },
      (_, index): View =>
        viewOf({
          userId: random.pick(USERS),
          postId: random.pick(POSTS),
          viewedAtMs: startMs + index,
          dwellMs: random.pick([null, 100, 2_000]),
        }),
    );
    for (const view of views) oracles.get(view.userId)?.add(view);
    const perWave = 10_000;
    for (let start = 0; start < views.length; start += perWave) {
      await recordViews(api.engine.store, views.slice(start, start + perWave));
    }
  });

  const unseenOf = (userId: string, candidates: readonly string[], rule = {}) => {
    const whole = { minViews: 1, minDwellMs: 0, sinceMs: 0, ...rule };
    const seen = oracles.get(userId)?.seenAmong(userId, candidates, whole);
    return candidates.filter((postId) => seen?.has(postId) !== true);
  };

  test("100 users and 500 candidates in one request: right, and one statement for each user", async () => {
    const ids = random.shuffle(USERS).slice(0, 100);
    const candidates = random.shuffle(POSTS).slice(0, 500);
    const { users } = await api.run<Unseen>(UNSEEN, { ids, candidates });
    expect(users).toEqual(ids.map((id) => ({ id, unseenPosts: unseenOf(id, candidates) })));
    expect(sent.counts()).toEqual({
      readPacks: ids.length,
    });
  });

  test("the same users again and again, and lists that overlap, are read once", async () => {
    const [userId = ""] = USERS;
    const candidates = POSTS.slice(0, 450);
    const { users, again, shifted } = await api.run<
      Unseen & { again: Unseen["users"][0]; shifted: string[] }
    >(
      `query ($ids: [ID!]!, $userId: ID!, $candidates: [ID!]!, $shifted: [ID!]!) {
        users(ids: $ids) { id unseenPosts(candidates: $candidates) }
        again: user(id: $userId) { id unseenPosts(candidates: $candidates) }
        shifted: unseenPosts(userId: $userId, candidates: $shifted)
      }`,
      { userId, ids: Array(100).fill(userId), candidates, shifted: POSTS.slice(50, 500) },
    );
    expect(users).toHaveLength(100);
    for (const user of [...users, again]) expect(user.unseenPosts).toEqual(unseenOf(userId, candidates));
    expect(shifted).toEqual(unseenOf(userId, POSTS.slice(50, 500)));
    // 500 different posts of one user, in whatever pieces they were asked for.
    expect(sent.counts()).toEqual({ readPacks: 1 });
  });

  test("a rule about dwell time reads the views themselves, as often", async () => {
    const ids = USERS.slice(0, 10);
    const candidates = POSTS.slice(0, 1_000);
    const { users } = await api.run<Unseen>(
      `query ($ids: [ID!]!, $candidates: [ID!]!) {
        users(ids: $ids) { id unseenPosts(candidates: $candidates, rule: { minDwellMs: 1000 }) }
      }`,
      { ids, candidates },
    );
    expect(users).toEqual(
      ids.map((id) => ({ id, unseenPosts: unseenOf(id, candidates, { minDwellMs: 1_000 }) })),
    );
    expect(sent.counts()).toEqual({ readPacks: ids.length });
  });
});
