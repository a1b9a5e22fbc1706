import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Api, startApi } from "../support/api.ts";
import { expectNothingInternal, expectRefusal, RECORD_MUTATION, recordRequest } from "../support/refusals.ts";

/** Documents that a client can send wrongly or at a great price, and what it is told: code, status and a sentence. */

let api: Api;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

describe("the document", () => {
  test.each<[string, string, RegExp]>([
    ["broken syntax", "{ pipeline { engine }", /^Syntax Error: /],
    ["an unknown field", "{ pipelines { engine } }", /Cannot query field "pipelines"/],
    ["an unknown argument", '{ user(name: "u") { id } }', /Unknown argument "name"|argument "id"/],
    ["a missing argument", "{ user { id } }", /"id" of type "ID!" is required/],
    [
      "a literal of a wrong type",
      '{ seenPosts(userId: "u", first: "5") { nodes { views } } }',
      /Int cannot represent/,
    ],
    ["a wrong instant", '{ seenPosts(userId: "u", since: "today") { nodes { views } } }', /RFC 3339/],
    ["two anonymous operations", "{ __typename } { __typename }", /anonymous/],
    ["a subscription", "subscription { x }", /subscription/],
    [
      "two aliased mutations",
      'mutation { a: eraseUser(userId: "u1") { id } b: eraseUser(userId: "u2") { id } }',
      /exactly one mutation; this one has 2 fields \(a, b\)/,
    ],
    [
      "mutations in fragments",
      'mutation { ...A ... on Mutation { ...B } } fragment A on Mutation { eraseUser(userId: "u1") { id } } fragment B on Mutation { b: eraseUser(userId: "u2") { id } }',
      /exactly one mutation; this one has 2 fields \(eraseUser, b\)/,
    ],
  ])("%s", async (_name, query, message) => {
    const answer = await api.post({ query });
    expect(answer.status).toBe(400);
    expect(answer.json.errors?.map(({ message }) => message).join("\n")).toMatch(message);
    expect(new Set(answer.json.errors?.map(({ extensions }) => extensions.code))).toEqual(
      new Set(["BAD_USER_INPUT"]),
    );
    expectNothingInternal(answer);
    expect(await api.engine.store.unfinishedErasures()).toEqual([]);
  });

  test("an operation name that is not there", async () => {
    const answer = await api.post({ query: "query A { __typename }", operationName: "B" });
    expectRefusal(answer, 400, "BAD_USER_INPUT", /Unknown operation named "B"/);
  });

  test("no operation name where there are several", async () => {
    const answer = await api.post({ query: "query A { __typename } query B { __typename }" });
    expectRefusal(answer, 400, "BAD_USER_INPUT", /Must provide operation name/);
  });

  test.each([
    [
      "nested too deeply",
      `{ ${"a { ".repeat(20_000)} b ${"}".repeat(20_000)} }`,
      /more than 64 levels of nested brackets/,
    ],
    [
      "a list that is nested too deeply",
      `{ a(b: ${"[".repeat(50_000)}) }`,
      /more than 64 levels of nested brackets/,
    ],
    ["too many tokens", `{ user(id: [${"1 ".repeat(11_000)}]) { id } }`, /more than 10000 tokens/],
  ])("%s", async (_name, query, message) => {
    expectRefusal(await api.post({ query }), 400, "QUERY_TOO_COMPLEX", message);
  });

  test("500 impressions spelled out in the document are accepted", async () => {
    const literal = Array.from(
      { length: 500 },
      (_, index) =>
        `{ postId: "p${index}", viewedAt: "2026-11-22T10:15:30Z", surface: "HOME", position: ${index}, dwellMs: 5 }`,
    );
    const query = `mutation { recordImpressions(input: { userId: "u1", impressions: [${literal.join(", ")}] }) { accepted } }`;
    const other = await startApi();
    try {
      expect(await other.run(query)).toEqual({ recordImpressions: { accepted: 500 } });
    } finally {
      await other.stop();
    }
  });
});

describe("amplification", () => {
  const users = Array.from({ length: 100 }, (_, index) => `u${index}`);

  test.each<[string, string, Record<string, unknown>, RegExp]>([
    [
      "a hundred users with a page of 500 each, by variables",
      "query ($ids: [ID!]!, $first: Int!) { users(ids: $ids) { seenPosts(first: $first) { nodes { post { id } lastViewedAt views } } } }",
      { ids: users, first: 500 },
      /^The query costs 330301, and 250000 is allowed\. Ask for smaller pages/,
    ],
    [
      "pages in pages",
      'query ($first: Int!) { seenPosts(userId: "u1", first: $first) { nodes { post { viewers(first: $first) { nodes { user { id } } } } } } }',
      { first: 400 },
      /costs 762302/,
    ],
    [
      "many small reads",
      "query ($ids: [ID!]!) { users(ids: $ids) { seenPosts(first: 10) { nodes { post { viewers(first: 1) { pageInfo { hasNextPage } } } } } } }",
      { ids: users },
      /costs 337301/,
    ],
    [
      "aliases of one list",
      `query ($ids: [ID!]!, $posts: [ID!]!) { users(ids: $ids) { ${Array.from({ length: 7 }, (_, index) => `a${index}: unseenPosts(candidates: $posts)`).join(" ")} } }`,
      { ids: users, posts: Array.from({ length: 1000 }, (_, index) => `p${index}`) },
      /costs 1610801/,
    ],
    [
      "fragments that double",
      `{ ...F0 } ${Array.from({ length: 30 }, (_, index) => `fragment F${index} on Query { ${index < 29 ? `...F${index + 1} ... on Query { ...F${index + 1} }` : "__typename"} }`).join(" ")}`,
      {},
      /costs 2147483646/,
    ],
  ])("%s", async (_name, query, variables, message) => {
    expectRefusal(await api.post({ query, variables }), 400, "QUERY_TOO_COMPLEX", message);
  });

  test("the recommender's largest query fits: 100 users with 1000 candidates", async () => {
    const query =
      "query ($ids: [ID!]!, $posts: [ID!]!) { users(ids: $ids) { id unseenPosts(candidates: $posts) } }";
    const posts = Array.from({ length: 1000 }, (_, index) => `p${index}`);
    const data = await api.run<{ users: { unseenPosts: string[] }[] }>(query, { ids: users, posts });
    expect(data.users.map((user) => user.unseenPosts.length)).toEqual(users.map(() => 1000));
  });

  test("an error that repeats what was sent is cut", async () => {
    const answer = await api.post({ query: RECORD_MUTATION, variables: { input: "x".repeat(200_000) } });
    expectRefusal(answer, 400, "BAD_USER_INPUT", /got invalid value "x+\.\.\.$/);
    expect(answer.text.length).toBeLessThan(1_000);
  });

  test("five hundred bad values get a bounded answer", async () => {
    const impressions = Array.from({ length: 500 }, () => ({ postId: "p", viewedAt: "now" }));
    const answer = await api.post(recordRequest({ userId: "u1", impressions }));
    expect(answer.status).toBe(400);
    expect(answer.json.errors?.length).toBeLessThanOrEqual(21);
    expect(new Set(answer.json.errors?.map(({ extensions }) => extensions.code))).toEqual(
      new Set(["BAD_USER_INPUT"]),
    );
    expectNothingInternal(answer);
  });
});
