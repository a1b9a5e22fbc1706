import { afterAll, beforeAll, expect, test } from "vitest";
import type { View } from "../../../src/domain/impression.ts";
import { DAY_MS, systemClock } from "../../../src/domain/time.ts";
import { createRandom, type Random } from "../../kit/random.ts";
import { recordViews, viewOf } from "../../kit/views.ts";
import { type Api, startApi } from "../../support/api.ts";
import { type ClusterApi, startClusterApi } from "../../support/cluster-api.ts";

/**
 * Both engines, the same views, the same random questions: the answers must be equal to the last character, cursors and
 * errors included, and a walk may begin on one engine and go on on the other.
 *
 * A failure names its query; `AGREE_SEED=<seed>` repeats the run.
 */
const QUERIES = 500;
const VIEWS = 6_000;
const PAGES_MAX = 200;

let embedded: Api;
let cluster: ClusterApi;
const seed = Number(process.env.AGREE_SEED ?? Date.now() % 1_000_000);
const random = createRandom(seed);
const nowMs = Date.now();
/** The last one has seen nothing. */
const USERS = Array.from({ length: 31 }, (_, index) =>
  `u${index}\u{1f600}`.slice(0, index % 2 ? -2 : undefined),
);
const POSTS = Array.from({ length: 301 }, (_, index) => `p${index}${index % 3 === 0 ? "\uffee" : ""}`);
const INSTANTS_MS = Array.from({ length: 800 }, () => nowMs - DAY_MS - random.integer(0, 60 * DAY_MS));

beforeAll(async () => {
  console.info(`AGREE_SEED=${seed}`);
  const clock = { ...systemClock, nowMs: () => nowMs };
  embedded = await startApi({ clock });
  // Few rows a slice, so that the viewers of most posts lie in several.
  cluster = await startClusterApi({ clock, environment: { SLICE_ROWS_MAX: "100" } });
  const views = Array.from({ length: VIEWS }, (_, index) => randomView(index));
  for (const { store } of [embedded.engine, cluster.api.engine]) await recordViews(store, views);
});
afterAll(async () => {
  await embedded?.stop();
  await cluster?.stop();
});

test(`${QUERIES} random queries get one answer from both engines`, { timeout: 20 * 60_000 }, async () => {
  let pages = 0;
  let nodes = 0;
  for (let number = 0; number < QUERIES; number++) {
    const question = randomQuestion(random);
    let variables = question.variables;
    for (let page = 0; ; page++) {
      expect(page).toBeLessThan(PAGES_MAX);
      const [ours, theirs] = await Promise.all(
        [embedded, cluster.api].map((api) => api.post({ query: question.query, variables })),
      );
      const where = `AGREE_SEED=${seed}, query ${number}: ${JSON.stringify(variables).slice(0, 500)}`;
      expect(ours?.json, where).toEqual(theirs?.json);
      expect(ours?.status, where).toBe(theirs?.status);
      pages++;
      const connection = connectionIn(ours?.json.data);
      nodes += connection?.edges.length ?? 0;
      if (connection === null || !connection.pageInfo.hasNextPage) break;
      // endCursor is the last edge's, as Relay wants it, wherever a page is full.
      if (connection.edges.length === variables.first) {
        expect(connection.pageInfo.endCursor, where).toBe(connection.edges.at(-1)?.cursor);
      }
      // Any edge's cursor goes on behind that edge.
      const from = random.chance(0.1) ? random.pick(connection.edges).cursor : connection.pageInfo.endCursor;
      variables = { ...variables, after: from };
    }
  }
  console.info(`${QUERIES} queries, ${pages} pages, ${nodes} nodes`);
  expect(nodes).toBeGreaterThan(QUERIES);
});

interface Connection {
  readonly edges: readonly { readonly cursor: string }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
}

/** The connection of the answer, if the question was one for a walk. */
function connectionIn(data: unknown): Connection | null {
  const walk = (data as { walk?: Connection | null } | null | undefined)?.walk;
  return walk ?? null;
}

interface Question {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

const PAGE = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";
const WALK_ARGUMENTS = "first: $first, after: $after, since: $since, until: $until";
const WALK_VARIABLES = "$id: ID!, $first: Int!, $after: String, $since: DateTime, $until: DateTime";
const SEEN_POSTS = `query (${WALK_VARIABLES}) { walk: seenPosts(userId: $id, ${WALK_ARGUMENTS}) {
  edges { cursor node { post { id } lastViewedAt views surface position dwellMs } } ${PAGE} } }`;
const POST_VIEWERS = `query (${WALK_VARIABLES}) { walk: postViewers(postId: $id, ${WALK_ARGUMENTS}) {
  edges { cursor node { user { id } lastViewedAt views } } ${PAGE} } }`;
const UNSEEN = `query ($ids: [ID!]!, $candidates: [ID!]!, $rule: SeenRule) {
  users(ids: $ids) { id unseenPosts(candidates: $candidates, rule: $rule) } }`;
const NESTED = `query ($id: ID!, $first: Int!) { seenPosts(userId: $id, first: $first) { nodes { post { id
  viewers(first: 3) { nodes { user { id seenPosts(first: 2) { nodes { post { id } views } } } views } } } } } }`;

function randomQuestion(random: Random): Question {
  const edge = () =>
    random.chance(0.4) ? null : new Date(random.pick(INSTANTS_MS) + random.integer(-1, 1)).toISOString();
  const walk = (id: string) => ({
    id,
    first: random.pick([1, 3, 20, 50, 50, 500]),
    after: random.chance(0.02) ? "not a cursor" : null,
    since: edge(),
    until: edge(),
  });
  switch (random.integer(0, 6)) {
    case 0:
    case 1:
      return {
        query: SEEN_POSTS,
        variables: { ...walk(random.pick(USERS)), first: random.pick([7, 50, 500]) },
      };
    case 2:
    case 3:
      return { query: POST_VIEWERS, variables: walk(random.pick(POSTS)) };
    case 4:
      return { query: NESTED, variables: { id: random.pick(USERS), first: random.integer(1, 10) } };
    default:
      return {
        query: UNSEEN,
        variables: {
          ids: Array.from({ length: random.integer(1, 10) }, () => random.pick(USERS)),
          candidates: Array.from({ length: random.pick([0, 1, 99, 100, 101, 500]) }, () =>
            random.pick(POSTS),
          ),
          rule: random.chance(0.3)
            ? null
            : {
                minViews: random.pick([1, 1, 2, 3]),
                minDwellMs: random.pick([0, 0, 1, 1_000]),
                since: edge(),
              },
        },
      };
  }
}

/** A few posts are seen again and again by all users, most posts by few. */
function randomView(index: number): View {
  const viewedAtMs = random.pick(INSTANTS_MS);
  return viewOf({
    userId: random.pick(USERS.slice(0, -1)),
    postId: random.chance(0.3) ? random.pick(POSTS.slice(0, 4)) : random.pick(POSTS.slice(0, -1)),
    viewedAtMs,
    // Of two views with one identity the second stays: on both engines, in any order of writes.
    receivedAtUs: viewedAtMs * 1_000 + index,
    surface: random.pick([null, "HOME"]),
    position: random.pick([null, 0, 12]),
    dwellMs: random.pick([null, 0, 999, 1_000]),
  });
}
