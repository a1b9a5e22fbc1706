import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StoreUnavailableError } from "../../src/ports/errors.ts";
import { buildGraphQLSchema } from "../../src/resolvers/schema.ts";
import {
  ERRORS_MAX,
  LOCATED_CHARACTERS_MAX,
  LOCATED_LINES_MAX,
  VALIDATION_ERRORS_MAX,
} from "../../src/server/limits.ts";
import { createRandom } from "../kit/random.ts";
import { randomRequest } from "../kit/random-queries.ts";
import type { HttpAnswer } from "../support/api.ts";
import { type ComparedApis, startCompared } from "../support/compared-apis.ts";

/**
 * A request is answered the same whether its operation is compiled or interpreted (graphql-js): the same
 * requests are sent to one server with and one without the compiler, over stores with the same content, and the answers
 * are compared as they stand on the wire.
 */

const NOW_MS = Date.now();
const SECRET = "connect ECONNREFUSED 10.1.2.3 password=hunter2";

interface Request {
  readonly query?: string;
  readonly variables?: unknown;
  readonly operationName?: string | null;
  readonly extensions?: unknown;
}

let compared: ComparedApis;
beforeAll(async () => {
  compared = await startCompared({
    nowMs: NOW_MS,
    override: ({ recorder, store, erasures }) => ({
      recorder: {
        async record(submission) {
          if (submission.userId === "broken") throw new Error(SECRET);
          if (submission.userId === "lying") return { receivedAtMs: NOW_MS } as never;
          await recorder.record(submission);
          return {
            accepted: submission.impressions.length,
            receivedAtMs: NOW_MS,
            flushAfterMs: 0,
          } as never;
        },
      },
      store: new Proxy(store, {
        get(target, name) {
          const value = Reflect.get(target, name) as unknown;
          if (typeof value !== "function") return value;
          if (name === "findErasure") {
            return async (id: string) => {
              if (id === "gone") throw new StoreUnavailableError("x");
              return value.call(target, id);
            };
          }
          if (name === "postViewers") {
            return async (request: { ownerId: string }) => {
              if (request.ownerId === "broken") throw new Error(SECRET);
              return value.call(target, request);
            };
          }
          return value.bind(target);
        },
      }),
      erasures: {
        ...erasures,
        request: async (userId: string) =>
          ({
            id: "e",
            userId,
            requestedAtMs: NOW_MS,
            status: "NO_SUCH_STATUS",
            rowsDeleted: 0,
            finishedAtMs: null,
          }) as never,
      },
    }),
  });
  for (const api of compared.apis) {
    await api.store(
      Array.from({ length: 40 }, (_, index) => ({
        userId: `u${index % 4}`,
        postId: index % 7 === 0 ? "broken" : `p${index % 11}`,
        viewedAtMs: NOW_MS - index * 1_000,
        ...(index % 3 === 0 ? {} : { surface: "HOME", position: index, dwellMs: index * 100 }),
      })),
    );
  }
});
afterAll(() => compared.stop());

const expectSame = (request: Request, headers?: Record<string, string>): Promise<HttpAnswer> =>
  compared.expectSamePost(request, headers);

const RECORD =
  "mutation Record($input: RecordImpressionsInput!) { recordImpressions(input: $input) { accepted receivedAt flushAfterMs } }";
const impression = (more: object = {}) => ({
  postId: "p1",
  viewedAt: new Date(NOW_MS).toISOString(),
  ...more,
});
const record = (input: unknown): Request => ({ query: RECORD, variables: { input } });
const PAGE =
  "query ($user: ID!, $first: Int, $since: DateTime) { seenPosts(userId: $user, first: $first, since: $since) { edges { cursor node { views } } nodes { post { id } lastViewedAt views surface position dwellMs } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";

describe("a good request", () => {
  test.each<[string, Request]>([
    [
      "recordImpressions",
      record({ userId: "u1", impressions: [impression({ surface: "HOME", position: 3, dwellMs: 4 })] }),
    ],
    [
      "explicit nulls",
      record({ userId: "u1", sentAt: null, impressions: [impression({ surface: null, position: null })] }),
    ],
    ["a single impression instead of a list", record({ userId: "u1", impressions: impression() })],
    ["an id that is a number", record({ userId: 17, impressions: [impression({ postId: 4 })] })],
    [
      "an integer as a float",
      { query: PAGE.replace("$first: Int", "$first: Int!"), variables: { user: "u1", first: 2.0 } },
    ],
    ["a page", { query: PAGE.replace("$first: Int", "$first: Int! = 3"), variables: { user: "u1" } }],
    [
      "arguments left to their defaults",
      {
        query: "query ($user: ID!) { seenPosts(userId: $user) { nodes { views } } }",
        variables: { user: "u2" },
      },
    ],
    ["undeclared variables", { query: "{ __typename }", variables: { x: [1, 2] } }],
    ["no variables", { query: '{ user(id: "u") { id __typename } }' }],
    [
      "an empty list",
      { query: 'query ($p: [ID!]!) { unseenPosts(userId: "u1", candidates: $p) }', variables: { p: [] } },
    ],
    [
      "a candidate instead of a list",
      { query: 'query ($p: [ID!]!) { unseenPosts(userId: "u1", candidates: $p) }', variables: { p: "p1" } },
    ],
    [
      "a rule with defaults",
      {
        query: 'query ($r: SeenRule) { unseenPosts(userId: "u1", candidates: ["p1", "p2", "x"], rule: $r) }',
        variables: { r: { minViews: 2 } },
      },
    ],
    [
      "a rule that is null",
      {
        query: 'query ($r: SeenRule) { unseenPosts(userId: "u1", candidates: ["p1", "x"], rule: $r) }',
        variables: { r: null },
      },
    ],
    [
      "variables inside literals",
      {
        query:
          'query ($n: Int!, $c: ID!) { unseenPosts(userId: "u1", candidates: [$c, "x"], rule: { minViews: $n }) }',
        variables: { n: 1, c: "p1" },
      },
    ],
    [
      "an enum",
      {
        query: "query ($r: DeadLetterReason) { deadLetters(reason: $r) { nodes { id } } }",
        variables: { r: "INVALID_POST_ID" },
      },
    ],
    [
      "aliases of one field with different arguments",
      {
        query:
          '{ a: seenPosts(userId: "u1", first: 1) { nodes { views } } b: seenPosts(userId: "u2", first: 2) { nodes { views } } }',
      },
    ],
    [
      "a field twice, merged",
      { query: '{ user(id: "u1") { id } user(id: "u1") { seenPosts(first: 1) { nodes { views } } } }' },
    ],
    [
      "fragments",
      {
        query:
          'query { user(id: "u1") { ...U ... on User { b: id } ... { c: id } } } fragment U on User { id seenPosts(first: 2) { ...C } } fragment C on SeenPostConnection { nodes { post { id } } }',
      },
    ],
    [
      "one operation of several",
      { query: "query A { __typename } query B { b: __typename }", operationName: "B" },
    ],
    [
      "nested lists",
      {
        query:
          "query ($u: [ID!]!) { users(ids: $u) { id seenPosts(first: 3) { nodes { views post { id } } } } }",
        variables: { u: ["u1", "u2", "u1"] },
      },
    ],
    [
      "introspection",
      {
        query:
          '{ __schema { queryType { name } types { name fields { name args { name defaultValue } type { name kind ofType { name } } } } } __type(name: "User") { name description } }',
      },
    ],
    ["the pipeline", { query: "{ pipeline { engine storeHealthy workers { id } } }" }],
  ])("%s", async (_name, request) => {
    const answer = await expectSame(request);
    expect(answer.json.errors, answer.text).toBeUndefined();
    expect(answer.status).toBe(200);
  });

  const CONDITIONS =
    'query ($yes: Boolean!, $no: Boolean = false) { a: __typename @include(if: $yes) b: __typename @skip(if: $yes) c: __typename @skip(if: $no) @include(if: $yes) user(id: "u1") @include(if: $yes) { id ...F @skip(if: $no) ... @include(if: $no) { d: id } } } fragment F on User { e: id f: id @include(if: $yes) }';
  test.each([
    { yes: true },
    { yes: false },
    { yes: true, no: true },
    { yes: false, no: true },
    { yes: true, no: null },
  ])("skip and include, %o", async (variables) => {
    await expectSame({ query: CONDITIONS, variables });
  });
});

describe("time after time the same answer, compiled or not", () => {
  const TIMES = 5;
  const expectEachTime = async (request: Request, expected: unknown) => {
    for (let time = 0; time < TIMES; time++)
      expect((await expectSame(request)).json, `time ${time}`).toMatchObject(expected as object);
  };
  const UNSEEN = (variables: string, rule: string) =>
    `query (${variables}) { unseenPosts(userId: "u1", candidates: ["p1", "x"], rule: ${rule}) }`;

  test.each<[string, Request]>([
    ["a field with a default", { query: UNSEEN("$m: Int", "{ minDwellMs: $m }"), variables: {} }],
    ["a rule", { query: UNSEEN("$r: SeenRule", "$r"), variables: {} }],
    ["a rule of a default", { query: UNSEEN("$r: SeenRule = {}", "$r"), variables: {} }],
  ])("where a variable is left out: %s", async (_name, request) => {
    await expectEachTime(request, { data: { unseenPosts: ["x"] } });
  });

  test("where it is null, and null is not allowed", async () => {
    const query = UNSEEN("$m: Int", "{ minDwellMs: $m }");
    await expectEachTime({ query }, { data: { unseenPosts: ["x"] } });
    await expectEachTime(
      { query, variables: { m: null } },
      { errors: [{ extensions: { code: "BAD_USER_INPUT" } }] },
    );
  });

  test("where a fragment is spread twice, the first time under a condition", async () => {
    const fragment = "...F @include(if: $y) ...F";
    await expectEachTime(
      {
        query: `query ($y: Boolean!) { user(id: "u") { ${fragment} } } fragment F on User { id }`,
        variables: { y: false },
      },
      { data: { user: { id: "u" } } },
    );
    await expectEachTime(
      {
        query: `mutation ($y: Boolean!, $input: RecordImpressionsInput!) { ${fragment} } fragment F on Mutation { recordImpressions(input: $input) { accepted } }`,
        variables: { y: false, input: { userId: "u9", impressions: [impression()] } },
      },
      { data: { recordImpressions: { accepted: 1 } } },
    );
  });

  test("where what is skipped is selected elsewhere, too", async () => {
    const nodes = "nodes { views } nodes @skip(if: $y) { ... { a: views } }";
    const query = `query ($y: Boolean!) { seenPosts(userId: "u1", first: 1) { ${nodes} } }`;
    const answer = await expectSame({ query, variables: { y: true } });
    expect(answer.text).not.toContain('"a"');
    await expectEachTime({ query, variables: { y: true } }, JSON.parse(answer.text) as object);
  });

  test.each(["n", "constructor", "toString", "hasOwnProperty", "isPrototypeOf", "valueOf"])(
    "where a variable is named %s",
    async (name) => {
      const page = (declared: string) =>
        `query (${declared}) { seenPosts(userId: "u1", first: $${name}) { nodes { views } } }`;
      const pages = [
        { query: page(`$${name}: Int = 2`), nodes: 2 },
        { query: page(`$${name}: Int! = 500`), variables: { [name]: 3 }, nodes: 3 },
        { query: page(`$${name}: Int`), nodes: 10 },
      ];
      for (const { nodes, ...request } of pages)
        await expectEachTime(request, { data: { seenPosts: { nodes: Array(nodes).fill({}) } } });
      await expectEachTime(
        { query: UNSEEN(`$${name}: Int`, `{ minViews: $${name} }`) },
        { data: { unseenPosts: ["x"] } },
      );
    },
  );
});

describe("a bad request", () => {
  test.each<[string, Request]>([
    ["variables of no kind", { query: RECORD }],
    ["input null", record(null)],
    ["input a text", record("x")],
    ["input a list", record([])],
    ["an unknown field", record({ userId: "u1", impressions: [impression({ when: 1 })] })],
    ["a missing field", record({ userId: "u1", impressions: [{ postId: "p" }] })],
    ["a null in a list", record({ userId: "u1", impressions: [null] })],
    ["a wrong instant", record({ userId: "u1", impressions: [impression({ viewedAt: "now" })] })],
    ["a text for a number", record({ userId: "u1", impressions: [impression({ position: "1" })] })],
    ["a boolean for a text", record({ userId: "u1", impressions: [impression({ surface: true })] })],
    ["an object for an id", record({ userId: { a: 1 }, impressions: [impression()] })],
    ["many at once", record({ userId: [], impressions: Array.from({ length: 100 }, () => ({ x: 1 })) })],
    ["__proto__ as a field", record(JSON.parse('{"userId":"u1","impressions":[],"constructor":1}'))],
    ["null where a default would do", { query: PAGE, variables: { user: "u1", first: null } }],
    [
      "nothing where the argument needs something",
      {
        query: 'query ($first: Int) { seenPosts(userId: "u1", first: $first) { nodes { views } } }',
        variables: { first: null },
      },
    ],
    [
      "an unknown enum value",
      {
        query: "query ($r: DeadLetterReason) { deadLetters(reason: $r) { nodes { id } } }",
        variables: { r: "NONE" },
      },
    ],
    [
      "an enum as a number",
      {
        query: "query ($r: DeadLetterReason) { deadLetters(reason: $r) { nodes { id } } }",
        variables: { r: 1 },
      },
    ],
    [
      "an input object where an id is due",
      { query: "query ($u: [ID!]!) { users(ids: $u) { id } }", variables: { u: [["u1"], null, true] } },
    ],
    ["no such operation", { query: "query A { __typename }", operationName: "B" }],
    ["several and none named", { query: "query A { __typename } query B { __typename }" }],
    ["validation", { query: "{ nothing }" }],
    ["syntax", { query: "{" }],
    ["a subscription", { query: "subscription { x }" }],
  ])("%s", async (_name, request) => {
    const answer = await expectSame(request);
    expect(answer.json.errors?.length, answer.text).toBeGreaterThan(0);
    expect(answer.status).toBe(400);
  });

  test("under the other media type", async () => {
    const headers = { accept: "application/graphql-response+json" };
    await expectSame(record({ userId: "u1", impressions: [impression()] }), headers);
    await expectSame(record({ userId: "u1", impressions: [null] }), headers);
    await expectSame({ query: '{ postViewers(postId: "broken") { nodes { views } } }' }, headers);
  });

  test("a mutation by GET", async () => {
    const query = encodeURIComponent('mutation { eraseUser(userId: "u") { id } }');
    const answer = await compared.expectSame({
      method: "GET",
      search: `?query=${query}`,
      headers: { "apollo-require-preflight": "1" },
    });
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe("POST");
  });
});

describe("a resolver that fails", () => {
  test.each<[string, Request, number]>([
    ["an own error of a mutation", record({ userId: "u1", impressions: [] }), 400],
    [
      "an own error with another status",
      record({ userId: "u1", impressions: Array.from({ length: 501 }, () => impression()) }),
      413,
    ],
    [
      "an own error of a query",
      { query: 'query { seenPosts(userId: "", first: 5) { nodes { views } } }' },
      400,
    ],
    ["a bad cursor", { query: 'query { seenPosts(userId: "u1", after: "x") { nodes { views } } }' }, 400],
    [
      "a bug, in a field that must not be null",
      record({ userId: "broken", impressions: [impression()] }),
      200,
    ],
    [
      "a missing value in a field that must not be null",
      record({ userId: "lying", impressions: [impression()] }),
      200,
    ],
    ["a value that is not in its enum", { query: 'mutation { eraseUser(userId: "u") { id status } }' }, 200],
    [
      "beside a nullable one that is good",
      { query: '{ erasure(id: "nope") { id } __typename b: erasure(id: "") { id } }' },
      400,
    ],
    [
      "deep inside a list",
      {
        query:
          'query { user(id: "u0") { seenPosts(first: 5) { nodes { post { id viewers(first: 2) { nodes { user { id } } } } } } } }',
      },
      200,
    ],
    [
      "several that are good syntax",
      { query: '{ a: erasure(id: "") { id } t: __typename c: erasure(id: "") { id } }' },
      400,
    ],
  ])("%s", async (_name, request, status) => {
    const answer = await expectSame(request);
    expect(answer.json.errors?.length, answer.text).toBeGreaterThan(0);
    expect(answer.status, answer.text).toBe(status);
    expect(answer.text).not.toContain("hunter2");
  });
});

describe("the errors of an answer", () => {
  const CALLER = "BAD_USER_INPUT";

  test.each([ERRORS_MAX, ERRORS_MAX + 1, ERRORS_MAX + 20])("%d of resolvers", async (count) => {
    const fields = Array.from({ length: count }, (_, index) => `a${index}: erasure(id: "")`);
    const { json, status } = await expectSame({ query: `{ ${fields.join(" { id } ")} { id } }` });
    const errors = json.errors ?? [];
    expect(status).toBe(400);
    expect(errors.slice(0, ERRORS_MAX).map(({ path }) => path)).toEqual(
      fields.slice(0, ERRORS_MAX).map((_, index) => [`a${index}`]),
    );
    expect(errors.slice(ERRORS_MAX)).toEqual(
      count === ERRORS_MAX
        ? []
        : [
            {
              message: expect.stringContaining(`left out: ${count - ERRORS_MAX}.`),
              extensions: { code: CALLER },
            },
          ],
    );
  });

  test("the most severe one counts, although it is left out", async () => {
    const fields = Array.from({ length: ERRORS_MAX }, (_, index) => `a${index}: erasure(id: "") { id }`);
    const query = `{ ${fields.join(" ")} late: erasure(id: "gone") { id } }`;
    const answer = await expectSame({ query });
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toMatch(/^[123]$/);
    expect(answer.json.errors?.at(-1)?.extensions).toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  test("of validation are those that were found first", async () => {
    const fields = Array.from({ length: 2 * VALIDATION_ERRORS_MAX }, (_, index) => `f${index}`);
    const { json } = await expectSame({ query: `{ ${fields.join(" ")} }` });
    expect(json.errors).toHaveLength(VALIDATION_ERRORS_MAX + 1);
    expect(json.errors?.at(-1)?.message).toMatch(/^Too many validation errors/);
  });

  test.each<[string, boolean, string]>([
    ["as many lines as are looked through", true, "\n".repeat(LOCATED_LINES_MAX - 1)],
    ["a line more", false, "\n".repeat(LOCATED_LINES_MAX)],
    ["a line more, as Windows ends them", false, "\r\n".repeat(LOCATED_LINES_MAX)],
    ["many characters", false, "#".padEnd(LOCATED_CHARACTERS_MAX)],
  ])("say where they are in a document of %s: %s", async (_, located, padding) => {
    const place = (text: string) => ({ line: padding.split("\n").length, column: text.indexOf("nope") + 1 });
    for (const field of ["nope", 'nope: erasure(id: "")']) {
      const text = `{ ${field}${field === "nope" ? "" : " { id }"} }`;
      const { json } = await expectSame({ query: located ? padding + text : `${text} ${padding}` });
      expect(json.errors).toHaveLength(1);
      expect(json.errors?.map(({ locations }) => locations)).toEqual([located ? [place(text)] : undefined]);
    }
  });
});

describe("any query", () => {
  // Without HTTP and a real store test/unit/compared-executions.test.ts compares many more.
  test("of random fields, aliases, fragments, conditions and variables", async () => {
    const schema = buildGraphQLSchema();
    for (let seed = 0; seed < 60; seed++) {
      await expectSame(
        randomRequest(schema, createRandom(seed), {
          ids: ["u0", "u1", "u2", "p0", "p1", "broken", ""],
          firstMin: 0,
          firstMax: 6,
          nowMs: NOW_MS,
          mutations: 0,
        }),
      );
    }
  });
});

describe("compiled operations over HTTP", () => {
  test("a hash in place of the text runs the same document", async () => {
    const query = `{ ${"__typename "} } # ${randomUUID()}`;
    const sha256Hash = Buffer.from(
      await crypto.subtle.digest("SHA-256", new TextEncoder().encode(query)),
    ).toString("hex");
    const extensions = { persistedQuery: { version: 1, sha256Hash } };
    expect((await expectSame({ extensions })).json.errors?.[0]?.extensions.code).toBe(
      "PERSISTED_QUERY_NOT_FOUND",
    );
    await expectSame({ query, extensions });
    expect((await expectSame({ extensions })).json.data).toEqual({ __typename: "Query" });
  });
});
