import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { HttpServerDependencies } from "../../src/server/http-server.ts";
import { AUDIENCE, ISSUER, signWith } from "../kit/tokens.ts";
import { type ComparedApis, startCompared } from "../support/compared-apis.ts";

/**
 * The fast path goes past Apollo Server. Answers, logs and metrics must not depend on that: requests for the fast path, and
 * nearly such ones, are sent to a server that has it and to one that has not.
 * (execution.test.ts does it for what operations do.)
 */

const NOW_MS = Date.now();
const SECRET = "a secret of thirty-two bytes, at least";

let compared: ComparedApis;
/** Asks for tokens, and limits impressions. */
let guarded: ComparedApis;
/** How often each of the four was asked to record. */
const recorded: number[] = [];

/** Counts what is recorded; who viewed the post "never" takes forever. */
function observing({ store, recorder }: HttpServerDependencies): Partial<HttpServerDependencies> {
  const server = recorded.push(0) - 1;
  return {
    recorder: {
      record(submission) {
        recorded[server] = (recorded[server] ?? 0) + 1;
        return recorder.record(submission);
      },
    },
    store: new Proxy(store, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        if (name !== "postViewers") return value.bind(target);
        return (request: { ownerId: string }, ...more: unknown[]) =>
          request.ownerId === "never" ? new Promise(() => undefined) : value.call(target, request, ...more);
      },
    }),
  };
}

beforeAll(async () => {
  compared = await startCompared({ nowMs: NOW_MS, override: observing });
  guarded = await startCompared({
    nowMs: NOW_MS,
    override: observing,
    environment: {
      AUTH: "jwt",
      JWT_SECRET: SECRET,
      JWT_ISSUER: ISSUER,
      JWT_AUDIENCE: AUDIENCE,
      IMPRESSIONS_PER_MINUTE_MAX: "500",
    },
  });
});
afterAll(() => Promise.all([compared.stop(), guarded.stop()]));

const query =
  "mutation RecordImpressions($input: RecordImpressionsInput!) { recordImpressions(input: $input) { accepted } }";
const record = (count = 1, userId: string | null = "u1") => ({
  query,
  variables: {
    input: {
      userId,
      impressions: Array.from({ length: count }, (_, index) => ({
        postId: `p${index}`,
        viewedAt: new Date(NOW_MS).toISOString(),
      })),
    },
  },
});
const JSON_TYPE = { "content-type": "application/json" };

describe("a request in other words", () => {
  test.each([
    undefined,
    "",
    "*/*",
    "application/json",
    "APPLICATION/JSON",
    "application/json;q=0.5",
    "application/json; charset=utf-8",
    "application/json, */*",
    "application/*",
    "text/html, */*;q=0.1",
    "text/html",
    "application/graphql-response+json",
    "application/graphql-response+json, application/json;q=0.9",
    "application/json, application/graphql-response+json;q=0.9",
    "multipart/mixed",
    "nonsense",
  ])("Accept: %s", async (accept) => {
    const headers = { ...JSON_TYPE, ...(accept === undefined ? {} : { accept }) };
    for (const body of [record(), record(0), { query: "{ nothing }" }])
      await compared.expectSame({ method: "POST", headers, body: JSON.stringify(body) });
  });

  test.each([
    undefined,
    "",
    "application/json",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "application/json; charset=latin1",
    "application/json;",
    "application/json; x=y",
    "Application/JSON",
    "application/jsonp",
    "application/graphql",
    "text/plain",
    "text/plain; application/json",
    "text/plain, application/json",
    "application/json, text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=application/json",
  ])("Content-Type: %s", async (type) => {
    const headers: Record<string, string> = type === undefined ? {} : { "content-type": type };
    await compared.expectSame({ method: "POST", headers, body: JSON.stringify(record()) });
  });

  const { variables } = record();
  test.each<[string, unknown]>([
    ["null", null],
    ["a number", 5],
    ["a text", "x"],
    ["a list of nothing", []],
    ["a list", [record()]],
    ["no member", {}],
    ["no query", { variables }],
    ["query null", { query: null, variables }],
    ["query empty", { query: "", variables }],
    ["query a number", { query: 5, variables }],
    ["query a list", { query: [query], variables }],
    ["variables left out", { query }],
    ["variables null", { query, variables: null }],
    ["variables a list", { query, variables: [variables] }],
    ["variables an empty list", { query: "{ __typename }", variables: [] }],
    ["variables a text", { query, variables: JSON.stringify(variables) }],
    ["variables an empty text", { query: "{ __typename }", variables: "" }],
    ["variables false", { query: "{ __typename }", variables: false }],
    ["variables a number", { query: "{ __typename }", variables: 0 }],
    ["operationName null", { ...record(), operationName: null }],
    ["operationName", { ...record(), operationName: "RecordImpressions" }],
    ["operationName empty", { ...record(), operationName: "" }],
    ["operationName another", { ...record(), operationName: "Other" }],
    ["operationName a number", { ...record(), operationName: 5 }],
    ["operationName false", { ...record(), operationName: false }],
    ["operationName an object", { ...record(), operationName: {} }],
    ["extensions null", { ...record(), extensions: null }],
    ["extensions empty", { ...record(), extensions: {} }],
    ["extensions a list", { ...record(), extensions: [] }],
    ["extensions a text", { ...record(), extensions: "x" }],
    ["extensions false", { ...record(), extensions: false }],
    ["extensions of others", { ...record(), extensions: { tracing: true } }],
    ["a hash that is none", { ...record(), extensions: { persistedQuery: { version: 1, sha256Hash: "0" } } }],
    ["a hash of a version", { ...record(), extensions: { persistedQuery: { version: 2 } } }],
    ["documentId null", { ...record(), documentId: null }],
    ["documentId beside a query", { ...record(), documentId: "x" }],
    ["documentId unknown", { documentId: "x" }],
    ["an unknown member", { ...record(), id: 7 }],
    ["members of the prototype", JSON.parse(`{"toString": 1, "query": "{ __typename }"}`)],
    [
      "two operations, one named",
      { query: "query A { __typename } query B { b: __typename }", operationName: "B" },
    ],
    ["two operations, none named", { query: "query A { __typename } query B { b: __typename }" }],
    ["no operation", { query: "fragment F on Query { __typename }" }],
  ])("%s", async (_name, body) => {
    await compared.expectSamePost(body);
  });

  test.each([
    ["broken JSON", JSON.stringify(record()).slice(1)],
    ["__proto__", `{"query":"{ __typename }","__proto__":{"x":1}}`],
    ["query twice", `{"query":"{ nothing }","query":"{ __typename }"}`],
    ["nothing", ""],
  ])("%s as the body", async (_name, body) => {
    await compared.expectSame({ method: "POST", headers: JSON_TYPE, body });
  });

  test.each(["GET", "PUT", "DELETE", "OPTIONS"])("%s with the same body and by the URL", async (method) => {
    const search = `?query=${encodeURIComponent("{ __typename }")}`;
    await compared.expectSame({ method, search, headers: JSON_TYPE });
    await compared.expectSame({ method, search, headers: { "apollo-require-preflight": "1" } });
  });

  test.each(["0", "x", "1", "5000"])("x-request-timeout-ms: %s", async (timeoutMs) => {
    await compared.expectSamePost(record(), { "x-request-timeout-ms": timeoutMs });
  });
});

test("a store that does not answer in time", async () => {
  const viewers = "query PostViewers($post: ID!) { postViewers(postId: $post) { nodes { views } } }";
  await compared.expectSamePost({ query: viewers, variables: { post: "p" } });
  const answer = await compared.expectSamePost(
    { query: viewers, variables: { post: "never" } },
    { "x-request-timeout-ms": "50" },
  );
  expect(answer.status).toBe(503);
  expect(answer.headers.get("retry-after")).not.toBeNull();
  expect(answer.json.errors?.[0]?.extensions.code).toBe("STORE_UNAVAILABLE");
});

test("a compiled operation whose variables make it too dear", async () => {
  const dear =
    "query Dear($ids: [ID!]!, $posts: [ID!]!) { a: users(ids: $ids) { unseenPosts(candidates: $posts) } b: users(ids: $ids) { unseenPosts(candidates: $posts) } }";
  const asking = (ids: number, posts: number) => ({
    query: dear,
    variables: {
      ids: Array.from({ length: ids }, (_, index) => `u${index}`),
      posts: Array.from({ length: posts }, (_, index) => `p${index}`),
    },
  });
  expect((await compared.expectSamePost(asking(1, 1))).status).toBe(200);
  const refused = await compared.expectSamePost(asking(100, 1_000));
  expect(refused.status).toBe(400);
  expect(refused.json).toMatchObject({ errors: [{ extensions: { code: "QUERY_TOO_COMPLEX" } }] });
  expect(refused.json.data).toBeUndefined();
  expect((await compared.expectSamePost(asking(1, 1_001))).json.errors?.[0]?.extensions.code).toBe(
    "BAD_USER_INPUT",
  );
  expect((await compared.expectSamePost(asking(2, 2))).status).toBe(200);
});

describe("access on both ways", () => {
  const bearer = async (claims: Record<string, unknown>) => ({
    authorization: `Bearer ${await signWith(SECRET, "HS256", claims)}`,
  });

  test("without a token, with a bad one, as a reader, another user, the user, and a user over the limit", async () => {
    const scope = "impressions:write";
    const expectStatus = async (status: number, body: unknown, headers: Record<string, string>) => {
      const answer = await guarded.expectSamePost(body, headers);
      expect(answer.status, answer.text).toBe(status);
    };
    // Compiled first, by one who may.
    await expectStatus(200, record(1, "ada"), await bearer({ sub: "ada", scope }));
    await expectStatus(401, record(1, "ada"), {});
    await expectStatus(401, record(1, "ada"), { authorization: "Bearer x" });
    await expectStatus(403, record(1, "ada"), await bearer({ sub: "ada", scope: "impressions:read" }));
    await expectStatus(403, record(1, "bert"), await bearer({ sub: "ada", scope }));
    await expectStatus(200, record(1, null), await bearer({ sub: "ada", scope }));
    await expectStatus(429, record(300, "carl"), await bearer({ sub: "carl", scope }));
  });
});

test("every mutation has run once", () => {
  const [open, alsoOpen, closed, alsoClosed] = recorded;
  expect(open).toBeGreaterThan(50);
  expect(open).toBe(alsoOpen);
  expect(closed).toBeGreaterThan(0);
  expect(closed).toBe(alsoClosed);
});
