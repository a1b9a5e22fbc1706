import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DAY_MS, systemClock } from "../../src/domain/time.ts";
import { type Api, type StoredView, startApi } from "../support/api.ts";

/** The read side: Relay paging, windows, rules and nested nodes, on the real store. */

const START_MS = Date.parse("2026-11-22T10:15:30.000Z");
let nowMs = START_MS;
let api: Api;

beforeEach(async () => {
  nowMs = START_MS;
  api = await startApi({ clock: { ...systemClock, nowMs: () => nowMs } });
});
afterEach(() => api.stop());

const ago = (ms: number) => START_MS - ms;
const iso = (ms: number) => new Date(ms).toISOString();
const view = (userId: string, postId: string, agoMs: number, more: Partial<StoredView> = {}): StoredView => ({
  userId,
  postId,
  viewedAtMs: ago(agoMs),
  ...more,
});

interface Page {
  readonly edges: { readonly cursor: string; readonly node: { readonly post: { readonly id: string } } }[];
  readonly nodes: { readonly post: { readonly id: string } }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

const PAGE =
  "{ edges { cursor node { post { id } } } nodes { post { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }";
const SEEN = `query ($userId: ID!, $first: Int! = 50, $after: String, $since: DateTime, $until: DateTime) {
  seenPosts(userId: $userId, first: $first, after: $after, since: $since, until: $until) ${PAGE}
}`;

async function seenPosts(variables: Record<string, unknown>): Promise<Page> {
  return (await api.run<{ seenPosts: Page }>(SEEN, { userId: "u1", ...variables })).seenPosts;
}

async function codeOf(query: string, variables: Record<string, unknown> = {}): Promise<unknown> {
  const { json } = await api.post({ query, variables });
  return json.errors?.[0]?.extensions.code;
}

async function walk(variables: Record<string, unknown>): Promise<string[]> {
  const ids: string[] = [];
  let after: string | null = null;
  for (let pages = 0; pages < 1_000; pages++) {
    const page = await seenPosts({ ...variables, after });
    ids.push(...page.nodes.map(({ post }) => post.id));
    if (!page.pageInfo.hasNextPage) return ids;
    after = page.pageInfo.endCursor;
    expect(after).not.toBeNull();
  }
  throw new Error("the walk does not end");
}

describe("connections", () => {
  test("an empty history", async () => {
    expect(await seenPosts({})).toEqual({
      edges: [],
      nodes: [],
      pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null },
    });
  });

  test("a page, the one after it, and their cursors", async () => {
    await api.store(
      ["a", "b", "c", "d", "e"].map((postId, index) => view("u1", postId, (index + 1) * 1_000)),
    );
    const first = await seenPosts({ first: 2 });
    expect(first.nodes.map(({ post }) => post.id)).toEqual(["a", "b"]);
    expect(first.edges.map(({ node }) => node)).toEqual(first.nodes);
    expect(first.pageInfo).toMatchObject({
      hasNextPage: true,
      hasPreviousPage: false,
      startCursor: first.edges[0]?.cursor,
    });
    const second = await seenPosts({ first: 2, after: first.pageInfo.endCursor });
    expect(second.nodes.map(({ post }) => post.id)).toEqual(["c", "d"]);
    expect(second.pageInfo.hasPreviousPage).toBe(true);
    const last = await seenPosts({ first: 2, after: second.pageInfo.endCursor });
    expect(last.nodes.map(({ post }) => post.id)).toEqual(["e"]);
    expect(last.pageInfo).toEqual({
      hasNextPage: false,
      hasPreviousPage: true,
      startCursor: last.edges[0]?.cursor,
      endCursor: last.edges[0]?.cursor,
    });
  });

  test("any edge's cursor goes on behind that edge", async () => {
    await api.store(["a", "b", "c", "d"].map((postId, index) => view("u1", postId, (index + 1) * 1_000)));
    const { edges } = await seenPosts({ first: 3 });
    const after = await seenPosts({ first: 3, after: edges[0]?.cursor });
    expect(after.nodes.map(({ post }) => post.id)).toEqual(["b", "c", "d"]);
  });

  test.each([1, 2, 3, 7, 500])("a walk in pages of %d gives each post once, newest first", async (first) => {
    const views = Array.from({ length: 40 }, (_, index) => view("u1", `p${index % 13}`, (index + 1) * 1_000));
    await api.store([...views, ...["x", "y", "z"].map((postId) => view("u1", postId, 500))]);
    const newestFirst = ["z", "y", "x", ...Array.from({ length: 13 }, (_, index) => `p${index}`)];
    expect(await walk({ first })).toEqual(newestFirst);
  });

  test("views during a walk, dated after its beginning, do not affect it", async () => {
    await api.store(["a", "b", "c", "d"].map((postId, index) => view("u1", postId, (index + 1) * 1_000)));
    const first = await seenPosts({ first: 2 });
    await api.store([view("u1", "c", -5_000), view("u1", "new", -6_000)]);
    nowMs += 60_000;
    const second = await seenPosts({ first: 2, after: first.pageInfo.endCursor });
    const third = await seenPosts({ first: 2, after: second.pageInfo.endCursor ?? "" });
    expect([...second.nodes, ...third.nodes].map(({ post }) => post.id)).toEqual(["c", "d"]);
    expect(await walk({ first: 2 })).toEqual(["new", "c", "a", "b", "d"]);
  });

  test("a page that found nothing but has more to scan still says where to go on", async () => {
    const scanned = { viewedAtMs: ago(5_000), id: "deep" };
    const empty = await startApi({
      clock: { ...systemClock, nowMs: () => nowMs },
      override: ({ store }) => ({
        store: {
          ...store,
          // A scan bound is only reached with many thousand rows; its page is what is looked at here.
          seenPosts: async (request) =>
            request.after === null
              ? { rows: [], boundMs: START_MS, next: scanned }
              : { rows: [], boundMs: request.window.untilMs, next: null },
        },
      }),
    });
    try {
      const { seenPosts: first } = await empty.run<{ seenPosts: Page }>(SEEN, { userId: "u1" });
      expect(first.edges).toEqual([]);
      expect(first.pageInfo).toMatchObject({
        hasNextPage: true,
        startCursor: null,
        endCursor: expect.any(String),
      });
      const after = first.pageInfo.endCursor;
      const { seenPosts: second } = await empty.run<{ seenPosts: Page }>(SEEN, { userId: "u1", after });
      expect(second.pageInfo).toEqual({
        hasNextPage: false,
        hasPreviousPage: true,
        startCursor: null,
        endCursor: null,
      });
    } finally {
      await empty.stop();
    }
  });

  test("a cursor is good for its own walk only", async () => {
    await api.store(["a", "b", "c"].map((postId, index) => view("u1", postId, (index + 1) * 1_000)));
    const since = iso(ago(DAY_MS));
    const { pageInfo } = await seenPosts({ first: 1, since });
    const after = pageInfo.endCursor;
    if (after === null) throw new Error("no cursor");
    expect((await seenPosts({ first: 500, after, since })).nodes).toHaveLength(2);
    const foreign: [string, Record<string, unknown>][] = [
      [SEEN, { userId: "u2", after, since }],
      [SEEN, { userId: "u1", after }],
      [SEEN, { userId: "u1", after, since, until: iso(START_MS) }],
      [SEEN, { userId: "u1", after: `${after}A`, since }],
      [SEEN, { userId: "u1", after: after.slice(0, -1), since }],
      [SEEN, { userId: "u1", after: `${after}=`, since }],
      [
        'query ($after: String, $since: DateTime) { postViewers(postId: "u1", after: $after, since: $since) { nodes { views } } }',
        { after, since },
      ],
      ["query ($after: String) { deadLetters(after: $after) { nodes { id } } }", { after }],
    ];
    for (const [query, variables] of foreign) expect(await codeOf(query, variables)).toBe("INVALID_CURSOR");
  });
});

describe("windows", () => {
  beforeEach(async () => {
    await api.store([
      view("u1", "old", 3 * DAY_MS),
      view("u1", "both", 2 * DAY_MS, { surface: "SEARCH", position: 4, dwellMs: 900 }),
      view("u1", "both", 1_000, { surface: "HOME" }),
      view("u1", "new", 2_000),
    ]);
  });

  test("since is inside, until is outside", async () => {
    expect(await walk({ since: iso(ago(3 * DAY_MS)), until: iso(ago(2 * DAY_MS)) })).toEqual(["old"]);
    expect(await walk({ since: iso(ago(2 * DAY_MS)), until: iso(ago(2 * DAY_MS) + 1) })).toEqual(["both"]);
    expect(await walk({ since: iso(ago(3 * DAY_MS) + 1), until: iso(ago(1_000)) })).toEqual(["new", "both"]);
    expect(await walk({ since: iso(ago(0)), until: iso(ago(1_000)) })).toEqual([]);
  });

  test("the view fields are those of the newest view inside the window", async () => {
    const query = `query ($until: DateTime) { seenPosts(userId: "u1", until: $until) { nodes { post { id } lastViewedAt views surface position dwellMs } } }`;
    const both = async (until: string | null) => {
      const data = await api.run<{ seenPosts: { nodes: { post: { id: string } }[] } }>(query, { until });
      return data.seenPosts.nodes.find(({ post }) => post.id === "both");
    };
    expect(await both(null)).toEqual({
      post: { id: "both" },
      lastViewedAt: iso(ago(1_000)),
      views: 2,
      surface: "HOME",
      position: null,
      dwellMs: null,
    });
    expect(await both(iso(ago(1_000)))).toEqual({
      post: { id: "both" },
      lastViewedAt: iso(ago(2 * DAY_MS)),
      views: 1,
      surface: "SEARCH",
      position: 4,
      dwellMs: 900,
    });
  });

  test("views over their retention are gone, whatever since says", async () => {
    nowMs = START_MS + 88 * DAY_MS + 1;
    expect(await walk({ since: "2000-01-01T00:00:00Z" })).toEqual(["both", "new"]);
    nowMs = START_MS + 90 * DAY_MS;
    expect(await walk({})).toEqual([]);
  });
});

describe("unseenPosts", () => {
  const UNSEEN =
    'query ($c: [ID!]!, $rule: SeenRule) { unseenPosts(userId: "u1", candidates: $c, rule: $rule) }';
  const unseen = async (c: string[], rule?: Record<string, unknown>) =>
    (await api.run(UNSEEN, { c, rule: rule ?? null })).unseenPosts;

  beforeEach(() =>
    api.store([
      view("u1", "once", 1_000, { dwellMs: 500 }),
      view("u1", "twice", 1_000, { dwellMs: 3_000 }),
      view("u1", "twice", 5 * DAY_MS, { dwellMs: 3_000 }),
      view("u1", "silent", 1_000),
      view("u2", "foreign", 1_000),
    ]),
  );

  test("keeps the order and gives each candidate once", async () => {
    expect(await unseen(["z", "once", "foreign", "a", "z", "twice", "a"])).toEqual(["z", "foreign", "a"]);
    expect(await unseen([])).toEqual([]);
  });

  test("by rule", async () => {
    const all = ["once", "twice", "silent"];
    expect(await unseen(all, {})).toEqual([]);
    expect(await unseen(all, { minViews: 2 })).toEqual(["once", "silent"]);
    expect(await unseen(all, { minDwellMs: 1 })).toEqual(["silent"]);
    expect(await unseen(all, { minDwellMs: 501 })).toEqual(["once", "silent"]);
    expect(await unseen(all, { minViews: 2, since: iso(ago(DAY_MS)) })).toEqual(all);
  });
});

describe("nodes", () => {
  test("users and posts: one for each id, in order, duplicates kept", async () => {
    const data = await api.run(
      '{ users(ids: ["b", "a", "b"]) { id } posts(ids: ["y", "y"]) { id } user(id: "u") { id } post(id: "p") { id } empty: users(ids: []) { id } }',
    );
    expect(data).toEqual({
      users: [{ id: "b" }, { id: "a" }, { id: "b" }],
      posts: [{ id: "y" }, { id: "y" }],
      user: { id: "u" },
      post: { id: "p" },
      empty: [],
    });
  });

  test("a user's posts and their viewers, in one request", async () => {
    await api.store([
      view("u1", "p1", 1_000),
      view("u2", "p1", 500),
      view("u2", "p1", 3_000),
      view("u1", "p2", 2_000),
    ]);
    const data = await api.run(
      '{ user(id: "u1") { seenPosts { nodes { post { id viewers(first: 10) { nodes { user { id unseenPosts(candidates: ["p1", "p2"]) } lastViewedAt views } } } } } } }',
    );
    const u1 = { id: "u1", unseenPosts: [] };
    const u2 = { id: "u2", unseenPosts: ["p2"] };
    expect(data).toEqual({
      user: {
        seenPosts: {
          nodes: [
            {
              post: {
                id: "p1",
                viewers: {
                  nodes: [
                    { user: u2, lastViewedAt: iso(ago(500)), views: 2 },
                    { user: u1, lastViewedAt: iso(ago(1_000)), views: 1 },
                  ],
                },
              },
            },
            {
              post: { id: "p2", viewers: { nodes: [{ user: u1, lastViewedAt: iso(ago(2_000)), views: 1 }] } },
            },
          ],
        },
      },
    });
  });

  test("equal reads of one request happen once, and few at a time", async () => {
    const reads: string[] = [];
    let running = 0;
    let most = 0;
    const counted = await startApi({
      clock: { ...systemClock, nowMs: () => nowMs },
      override: ({ store }) => ({
        store: {
          ...store,
          async seenPosts(request) {
            reads.push(`seenPosts ${request.ownerId}`);
            most = Math.max(most, ++running);
            try {
              return await store.seenPosts(request);
            } finally {
              running--;
            }
          },
          async seenAmong(userId, postIds, rule) {
            reads.push(`seenAmong ${userId} ${postIds.join()}`);
            return store.seenAmong(userId, postIds, rule);
          },
        },
      }),
    });
    try {
      await counted.run(
        `{ a: seenPosts(userId: "u1") { nodes { views } } b: user(id: "u1") { seenPosts { nodes { post { id } } } }
           c: users(ids: ["u1", "u1"]) { unseenPosts(candidates: ["p", "q", "p"]) }
           d: unseenPosts(userId: "u1", candidates: ["p", "q"], rule: { minViews: 1 }) }`,
      );
      expect(reads.sort()).toEqual(["seenAmong u1 p,q", "seenPosts u1"]);
      const ids = Array.from({ length: 100 }, (_, index) => `v${index}`);
      await counted.run(
        "query ($ids: [ID!]!) { users(ids: $ids) { seenPosts(first: 1) { nodes { views } } } }",
        { ids },
      );
      expect(reads).toHaveLength(102);
      expect(most).toBe(16);
    } finally {
      await counted.stop();
    }
  });
});
