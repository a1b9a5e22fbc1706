import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeMessage } from "../../src/domain/queue-message.ts";
import { createPlanner } from "../../src/workers/planner.ts";
import type { Api } from "../support/api.ts";
import { type ComparedApis, startCompared } from "../support/compared-apis.ts";

/** Numbers in variables and literals, on a server that compiles operations and on one that does not. */

const NOW_MS = Date.now();
/** Two ids, one number to JSON. */
const SNOWFLAKE = "1641628187827904801";
const ROUNDED = Number(SNOWFLAKE);

let compared: ComparedApis;
beforeAll(async () => {
  compared = await startCompared({ nowMs: NOW_MS });
});
afterAll(() => compared.stop());

const viewedAt = new Date(NOW_MS).toISOString();
const RECORD = "mutation ($input: RecordImpressionsInput!) { recordImpressions(input: $input) { accepted } }";

async function queued(api: Api, waitMs = 5_000) {
  const request = { maxMessages: 1_000, maxBytes: 1e9, waitMs, signal: new AbortController().signal };
  const deliveries = await api.engine.queue.pull(request);
  await Promise.all(deliveries.map((delivery) => api.engine.queue.ack([delivery])));
  return deliveries;
}

describe("an id that is a number which JSON does not hold exactly is refused", () => {
  const record = (user: unknown, post: unknown) => ({
    input: {
      userId: user,
      impressions: [
        { postId: "p", viewedAt },
        { postId: post, viewedAt },
      ],
    },
  });
  const seen = "{ nodes { views } }";
  const filtered = "($filter: DeadLetterFilter!)";
  const use = "(filter: $filter, dryRun: true) { matched }";
  /** Every place where a caller gives an id; `id` stands in for it. */
  const places: [string, (id: unknown) => object][] = [
    [RECORD, (id) => record(id, "p")],
    [RECORD, (id) => record("u", id)],
    [
      "mutation ($user: ID!, $at: DateTime!) { recordImpressions(input: { userId: $user, impressions: [{ postId: 1, viewedAt: $at }] }) { accepted } }",
      (id) => ({ user: id, at: viewedAt }),
    ],
    [
      "mutation ($post: ID!, $at: DateTime!) { recordImpressions(input: { userId: 1, impressions: [{ postId: $post, viewedAt: $at }] }) { accepted } }",
      (id) => ({ post: id, at: viewedAt }),
    ],
    ["mutation ($id: ID!) { eraseUser(userId: $id) { userId } }", (id) => ({ id })],
    ["query ($id: ID!) { erasure(id: $id) { id } }", (id) => ({ id })],
    ["query ($id: ID) { unfinishedErasures(userId: $id) { userId } }", (id) => ({ id })],
    ["query ($id: ID!) { user(id: $id) { id } }", (id) => ({ id })],
    ["query ($id: ID!) { post(id: $id) { id } }", (id) => ({ id })],
    ["query ($ids: [ID!]!) { users(ids: $ids) { id } }", (id) => ({ ids: ["1", id] })],
    ["query ($ids: [ID!]!) { posts(ids: $ids) { id } }", (id) => ({ ids: id })],
    ["query ($id: ID!) { posts(ids: [1, $id]) { id } }", (id) => ({ id })],
    [`query ($id: ID!) { seenPosts(userId: $id) ${seen} }`, (id) => ({ id })],
    [`query ($id: ID!) { postViewers(postId: $id) ${seen} }`, (id) => ({ id })],
    ["query ($id: ID!) { unseenPosts(userId: $id, candidates: []) }", (id) => ({ id })],
    ["query ($ids: [ID!]!) { unseenPosts(userId: 1, candidates: $ids) }", (id) => ({ ids: [id] })],
    ["query ($ids: [ID!]!) { user(id: 1) { unseenPosts(candidates: $ids) } }", (id) => ({ ids: [id] })],
    [`query ($id: ID) { deadLetters(userId: $id) { nodes { id } } }`, (id) => ({ id })],
    [`query ($ids: [ID!]) { deadLetters(ids: $ids) { nodes { id } } }`, (id) => ({ ids: [id] })],
    [`mutation ${filtered} { replayDeadLetters${use} }`, (id) => ({ filter: { userId: id } })],
    [`mutation ${filtered} { replayDeadLetters${use} }`, (id) => ({ filter: { ids: [id] } })],
    [`mutation ${filtered} { discardDeadLetters${use} }`, (id) => ({ filter: { userId: id } })],
  ];

  test.each(places)("%s with %o", async (query, variablesOf) => {
    // The same place takes the id as a text, or a number that is one.
    for (const id of [SNOWFLAKE, 17]) {
      const good = await compared.expectSamePost({ query, variables: variablesOf(id) });
      expect(good.json.errors, good.text).toBeUndefined();
    }
    for (const id of [ROUNDED, -ROUNDED, 2 ** 53, 1.5, 1e300]) {
      const { status, json, text } = await compared.expectSamePost({ query, variables: variablesOf(id) });
      expect(status, text).toBe(400);
      expect(json.errors?.map(({ extensions }) => extensions.code)).toEqual(["BAD_USER_INPUT"]);
      expect(json.errors?.[0]?.message).toMatch(/ID .*(2\^53|cannot represent)/);
    }
  });

  test("as a literal it is exact", async () => {
    for (const [query, variables] of [
      [`{ user(id: ${SNOWFLAKE}) { id } }`, {}],
      [`query ($id: ID! = ${SNOWFLAKE}) { user(id: $id) { id } }`, {}],
      [`{ users(ids: [${SNOWFLAKE}]) { id } }`, {}],
      [`query ($id: ID!) { users(ids: [$id, ${SNOWFLAKE}]) { id } }`, { id: 1 }],
    ] as const) {
      const { text } = await compared.expectSamePost({ query, variables });
      expect(text).toContain(`"id":"${SNOWFLAKE}"`);
    }
    const record = `mutation ($input: RecordImpressionsInput! = {userId: ${SNOWFLAKE}, impressions: []}) { recordImpressions(input: $input) { accepted } }`;
    expect((await compared.expectSamePost({ query: record })).status).toBe(400);
    const query = `query ($ids: [ID!]! = [${SNOWFLAKE}]) { unseenPosts(userId: 1, candidates: $ids) }`;
    expect((await compared.expectSamePost({ query })).json.data).toEqual({ unseenPosts: [SNOWFLAKE] });
  });
});

describe("a position or dwellMs that no view can have", () => {
  const FIELDS = ["position", "dwellMs"] as const;
  beforeAll(() => Promise.all(compared.apis.map((api) => queued(api, 1))));
  const NUMBERS = ["2147483648", "-2147483649", "1e300", "1e400", "0.5", "-1", "9007199254740993"];

  test.each(FIELDS.flatMap((field) => NUMBERS.map((number) => [field, number] as const)))(
    "%s %s costs its neighbours nothing, in a variable and in a literal",
    async (field, number) => {
      const list = (open: string, at: string) =>
        `[{ ${open}postId: "a", viewedAt: ${at} }, { postId: "bad", viewedAt: ${at}, ${field}: ${number} }, { postId: "c", viewedAt: ${at} }]`;
      const literal = `mutation { recordImpressions(input: { userId: "u", impressions: ${list("", JSON.stringify(viewedAt))} }) { accepted } }`;
      const impressions = `[{"postId":"a","viewedAt":"${viewedAt}"},{"postId":"bad","viewedAt":"${viewedAt}","${field}":${number}},{"postId":"c","viewedAt":"${viewedAt}"}]`;
      const bodies = [
        `{"query":${JSON.stringify(RECORD)},"variables":{"input":{"userId":"u","impressions":${impressions}}}}`,
        JSON.stringify({ query: literal }),
        `{"query":"mutation ($n: Int!) { recordImpressions(input: { userId: 1, impressions: [{ postId: \\"a\\", viewedAt: \\"${viewedAt}\\" }, { postId: \\"bad\\", viewedAt: \\"${viewedAt}\\", ${field}: $n }, { postId: \\"c\\", viewedAt: \\"${viewedAt}\\" }] }) { accepted } }","variables":{"n":${number}}}`,
      ];
      for (const body of bodies) {
        const headers = { "content-type": "application/json" };
        const { json } = await compared.expectSame({ method: "POST", headers, body });
        expect(json).toEqual({ data: { recordImpressions: { accepted: 3 } } });
        for (const api of compared.apis) {
          for (const delivery of await queued(api)) {
            const planner = createPlanner({
              stream: "S",
              retentionMs: 86_400_000,
              nowMs: NOW_MS,
              expiryMs: NOW_MS,
            });
            planner.add(delivery);
            const { deadLetters: letters, historyBatches } = planner.finish();
            expect(letters.map(({ letter }) => letter.reason)).toEqual(["INVALID_FIELD"]);
            expect(historyBatches.flatMap(({ views }) => views.map(({ view }) => view.postId))).toEqual([
              "a",
              "c",
            ]);
            expect(decodeMessage(delivery.body).kind).toBe("message");
          }
        }
      }
    },
  );

  test.each(FIELDS)("%s is a number: what is none refuses the list", async (field) => {
    for (const value of ["5", true, [5], {}]) {
      const impressions = [{ postId: "a", viewedAt, [field]: value }];
      const variables = { input: { userId: "u", impressions } };
      const { status, json } = await compared.expectSamePost({ query: RECORD, variables });
      expect(status).toBe(400);
      expect(json.errors?.[0]?.message).toMatch(/Int cannot represent/);
    }
  });
});

test.each([
  ["query ($n: Int!) { seenPosts(userId: 1, first: $n) { nodes { views } } }", "first"],
  ["query ($n: Int!) { postViewers(postId: 1, first: $n) { nodes { views } } }", "first"],
  ["query ($n: Int!) { deadLetters(first: $n) { nodes { id } } }", "first"],
  ["mutation ($n: Int!) { replayDeadLetters(filter: {}, first: $n) { matched } }", "first"],
  ["mutation ($n: Int!) { discardDeadLetters(filter: {}, first: $n) { matched } }", "first"],
  ["query ($n: Int!) { unseenPosts(userId: 1, candidates: [2], rule: { minViews: $n }) }", "minViews"],
  ["query ($n: Int!) { unseenPosts(userId: 1, candidates: [2], rule: { minDwellMs: $n }) }", "minDwellMs"],
])("%s takes whole numbers in its range only", async (query, argument) => {
  for (const number of ["1.5", "-1", "2147483648", "1e300", "1e400"]) {
    const headers = { "content-type": "application/json" };
    for (const body of [
      `{"query":${JSON.stringify(query)},"variables":{"n":${number}}}`,
      JSON.stringify({ query: query.replace(" ($n: Int!)", "").replace("$n", number) }),
    ]) {
      const { status, json } = await compared.expectSame({ method: "POST", headers, body });
      expect(status, JSON.stringify(json)).toBe(400);
      const codes = json.errors?.map(({ extensions }) => extensions.code);
      expect(codes).toEqual(["BAD_USER_INPUT"]);
      expect(json.errors?.[0]?.message).toContain(argument);
    }
  }
});
