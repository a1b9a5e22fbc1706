import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { text as readText } from "node:stream/consumers";
import { ReadableStream } from "node:stream/web";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Api, type HttpAnswer, readAnswer, startApi } from "../support/api.ts";

/** Everything that a client can send wrongly, and what it is told: code, status and a sentence. */

let api: Api;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

const RECORD = "mutation ($input: RecordImpressionsInput!) { recordImpressions(input: $input) { accepted } }";
const impression = (postId = "p1") => ({ postId, viewedAt: new Date().toISOString() });
const record = (input: unknown) => ({ query: RECORD, variables: { input } });

function expectRefusal(answer: HttpAnswer, status: number, code: string, message: RegExp): void {
  expect(answer.json.errors, answer.text).toHaveLength(1);
  const [error] = answer.json.errors ?? [];
  expect({ status: answer.status, code: error?.extensions.code, message: error?.message }).toEqual({
    status,
    code,
    message: expect.stringMatching(message),
  });
  expectNothingInternal(answer);
}

/** Only what the catalogue promises leaves the process. */
function expectNothingInternal({ json, text }: HttpAnswer): void {
  for (const error of json.errors ?? []) {
    const known = ["code", "retryAfterMs", "cost", "costMax"];
    expect(Object.keys(error.extensions).filter((key) => !known.includes(key))).toEqual([]);
    expect(
      Object.keys(error).filter((key) => !["message", "locations", "path", "extensions"].includes(key)),
    ).toEqual([]);
  }
  expect(text).not.toMatch(/stacktrace|node_modules|\.ts:\d|sqlite|FST_|Apollo Server/i);
}

async function queueIsEmpty(): Promise<void> {
  expect(await api.engine.queue.newestSequence()).toBe(0);
}

describe("the request", () => {
  test.each<[string, unknown, number, RegExp]>([
    ["a body that is not JSON", '{"query": ', 400, /^The body must be JSON: /],
    ["an empty body", "", 400, /^The body must be JSON: /],
    ["a list of operations", [{ query: "{ __typename }" }], 400, /^Send one operation in each request/],
    ["a number", "5", 400, /^The body must be a JSON object/],
    ["null", "null", 400, /^The body must be a JSON object/],
    ["an empty object", {}, 400, /^The body must be a JSON object/],
    ["a query that is a number", { query: 5 }, 400, /^query must be a string/],
    ["a query that is an object", { query: { kind: "Document" } }, 400, /^query must be a string/],
    ["no query", { variables: {} }, 400, /query/],
    ["an empty query", { query: "" }, 400, /query/],
    ["variables that are a text", { query: "{ __typename }", variables: "{}" }, 400, /variables/],
    ["variables that are a list", { query: "{ __typename }", variables: [] }, 400, /variables/],
    [
      "an operation name that is a number",
      { query: "{ __typename }", operationName: 5 },
      400,
      /operationName/,
    ],
    ["extensions that are a list", { query: "{ __typename }", extensions: [] }, 400, /extensions/],
    [
      "__proto__",
      '{"query":"{ __typename }","variables":{"__proto__":{"x":1}}}',
      400,
      /^The body must be JSON/,
    ],
  ])("%s", async (_name, body, status, message) => {
    expectRefusal(await api.post(body), status, "BAD_USER_INPUT", message);
  });

  test("bytes that are not UTF-8 are refused, not repaired into another id", async () => {
    const text = JSON.stringify(record({ userId: "u?", impressions: [impression()] }));
    const bytes = Buffer.from(text, "utf8");
    bytes[text.indexOf("?")] = 0xff;
    expectRefusal(await api.post(bytes), 400, "BAD_USER_INPUT", /UTF-8/);
    await queueIsEmpty();
  });

  test.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/graphql",
  ])("content type %s", async (type) => {
    const answer = await api.post('{"query":"{ __typename }"}', { "content-type": type });
    expectRefusal(answer, 415, "BAD_USER_INPUT", /content-type: application\/json/);
  });

  test("no content type", async () => {
    const response = await fetch(new URL("/graphql", api.url), { method: "POST", body: Buffer.from("{}") });
    expectRefusal(await readAnswer(response), 415, "BAD_USER_INPUT", /content-type: application\/json/);
  });

  test.each([257 * 1024, 3 * 1024 * 1024])("a body of %d bytes", async (bytes) => {
    const body = JSON.stringify({ query: "{ __typename }", variables: { padding: "x".repeat(bytes) } });
    expectRefusal(
      await api.post(body),
      413,
      "BATCH_TOO_LARGE",
      /larger than 262144 bytes\. Send fewer impressions, ids or candidates/,
    );
  });

  test("a body that hides its length", async () => {
    const chunks = async function* () {
      for (let sent = 0; sent < 300; sent++) yield Buffer.alloc(1024, 32);
    };
    const response = await fetch(new URL("/graphql", api.url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: ReadableStream.from(chunks()),
      duplex: "half",
    } as unknown as RequestInit);
    expectRefusal(await readAnswer(response), 413, "BATCH_TOO_LARGE", /larger than 262144 bytes/);
  });

  test("a body of just under the limit passes", async () => {
    const body = JSON.stringify({ query: "{ __typename }", variables: { padding: "x".repeat(255 * 1024) } });
    expect((await api.post(body)).status).toBe(200);
  });

  test("methods that are neither GET nor POST", async () => {
    for (const method of ["PUT", "PATCH", "DELETE", "OPTIONS"]) {
      const response = await fetch(new URL("/graphql", api.url), {
        method,
        ...(method === "OPTIONS" ? {} : { headers: { "content-type": "application/json" }, body: "{}" }),
      });
      expect(response.headers.get("allow")).toBe("GET, POST");
      expectRefusal(await readAnswer(response), 405, "BAD_USER_INPUT", /GET .*POST/);
    }
  });

  test("an Accept header that excludes JSON", async () => {
    const answer = await api.post({ query: "{ __typename }" }, { accept: "image/png" });
    expectRefusal(answer, 406, "BAD_USER_INPUT", /accept/i);
  });

  test("a simple cross-site GET", async () => {
    const url = new URL("/graphql?query={__typename}", api.url);
    expectRefusal(await readAnswer(await fetch(url)), 400, "BAD_USER_INPUT", /Cross-Site Request Forgery/);
    const allowed = await fetch(url, { headers: { "apollo-require-preflight": "1" } });
    expect(allowed.status).toBe(200);
  });

  test("a mutation by GET", async () => {
    const query = 'mutation { eraseUser(userId: "u1") { id } }';
    const response = await fetch(new URL(`/graphql?query=${encodeURIComponent(query)}`, api.url), {
      headers: { "apollo-require-preflight": "1" },
    });
    expect(response.headers.get("allow")).toBe("POST");
    expectRefusal(await readAnswer(response), 405, "BAD_USER_INPUT", /mutation.*POST/i);
  });

  test("a GET without a document, as a redirect makes one of a POST", async () => {
    const response = await fetch(new URL("/graphql", api.url), {
      headers: { "content-type": "application/json" },
    });
    expectRefusal(await readAnswer(response), 400, "BAD_USER_INPUT", /^query must .*redirect.*GET of a POST/);
  });

  test("an unknown path says where things are", async () => {
    const response = await fetch(new URL("/api/v2?x=1", api.url));
    expectRefusal(
      await readAnswer(response),
      404,
      "BAD_USER_INPUT",
      /GET \/api\/v2\. .*\/graphql, .*\/readyz/,
    );
  });

  test("a path that is no URL", async () => {
    const response = await new Promise<HttpAnswer>((resolve, reject) => {
      const request = httpRequest(api.url, { path: "/%", method: "GET" }, async (incoming) => {
        const text = await readText(incoming);
        resolve({ status: incoming.statusCode ?? 0, headers: new Headers(), text, json: JSON.parse(text) });
      });
      request.on("error", reject);
      request.end();
    });
    expectRefusal(response, 400, "BAD_USER_INPUT", /URL path/);
  });

  test("a malformed Host header is nobody's problem", async () => {
    const body = '{"query":"{ __typename }"}';
    const answer = await raw(
      `POST /graphql HTTP/1.1\r\nhost: [:::\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 200 OK/);
  });

  test.each([
    ["no HTTP at all", "hello\r\n\r\n", 400],
    ["headers without end", `GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(20_000)}\r\n\r\n`, 431],
  ])("%s", async (_name, bytes, status) => {
    const answer = await raw(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4))).toEqual({
      errors: [{ message: expect.any(String), extensions: { code: "BAD_USER_INPUT" } }],
    });
  });

  async function raw(bytes: string): Promise<string> {
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    socket.write(bytes);
    return readText(socket);
  }
});

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

  test("what the recommender needs most fits: 100 users with 1000 candidates", async () => {
    const query =
      "query ($ids: [ID!]!, $posts: [ID!]!) { users(ids: $ids) { id unseenPosts(candidates: $posts) } }";
    const posts = Array.from({ length: 1000 }, (_, index) => `p${index}`);
    const data = await api.run<{ users: { unseenPosts: string[] }[] }>(query, { ids: users, posts });
    expect(data.users.map((user) => user.unseenPosts.length)).toEqual(users.map(() => 1000));
  });

  test("an error that repeats what was sent is cut", async () => {
    const answer = await api.post({ query: RECORD, variables: { input: "x".repeat(200_000) } });
    expectRefusal(answer, 400, "BAD_USER_INPUT", /got invalid value "x+\.\.\.$/);
    expect(answer.text.length).toBeLessThan(1_000);
  });

  test("five hundred bad values get a bounded answer", async () => {
    const impressions = Array.from({ length: 500 }, () => ({ postId: "p", viewedAt: "now" }));
    const answer = await api.post(record({ userId: "u1", impressions }));
    expect(answer.status).toBe(400);
    expect(answer.json.errors?.length).toBeLessThanOrEqual(21);
    expect(new Set(answer.json.errors?.map(({ extensions }) => extensions.code))).toEqual(
      new Set(["BAD_USER_INPUT"]),
    );
    expectNothingInternal(answer);
  });
});

describe("recordImpressions", () => {
  const good = () => ({ userId: "u1", impressions: [impression()] });

  test.each<[string, () => unknown, number, string, RegExp]>([
    [
      "no impressions",
      () => ({ ...good(), impressions: [] }),
      400,
      "BAD_USER_INPUT",
      /at least one impression/,
    ],
    [
      "501 impressions",
      () => ({ ...good(), impressions: Array.from({ length: 501 }, () => impression()) }),
      413,
      "BATCH_TOO_LARGE",
      /at most 500 impressions, not 501\. Send them in several/,
    ],
    [
      "no userId",
      () => ({ impressions: [impression()] }),
      400,
      "BAD_USER_INPUT",
      /^input\.userId is required/,
    ],
    ["userId null", () => ({ ...good(), userId: null }), 400, "BAD_USER_INPUT", /^input\.userId is required/],
    [
      "an empty userId",
      () => ({ ...good(), userId: "" }),
      400,
      "BAD_USER_INPUT",
      /^input\.userId must not be empty\.$/,
    ],
    [
      "a userId of 129 characters",
      () => ({ ...good(), userId: "x".repeat(129) }),
      400,
      "BAD_USER_INPUT",
      /at most 128/,
    ],
    [
      "NUL in the userId",
      () => ({ ...good(), userId: "u\u0000" }),
      400,
      "BAD_USER_INPUT",
      /control characters/,
    ],
    [
      "half a surrogate pair in the userId",
      () => ({ ...good(), userId: "u\ud800" }),
      400,
      "BAD_USER_INPUT",
      /well-formed/,
    ],
    [
      "the text null as userId",
      () => ({ ...good(), userId: "null" }),
      400,
      "BAD_USER_INPUT",
      /real id, not the text "null"/,
    ],
    [
      "a postId of 513 characters",
      () => ({ ...good(), impressions: [impression(), impression("p".repeat(513))] }),
      400,
      "BAD_USER_INPUT",
      /^input\.impressions\[1\]\.postId must have at most 512 characters\.$/,
    ],
    [
      "a surface of 513 characters",
      () => ({ ...good(), impressions: [{ ...impression(), surface: "🛒".repeat(513) }] }),
      400,
      "BAD_USER_INPUT",
      /^input\.impressions\[0\]\.surface must have at most 512/,
    ],
    ["no list", () => ({ userId: "u1" }), 400, "BAD_USER_INPUT", /impressions/],
    [
      "a position that is a text",
      () => ({ ...good(), impressions: [{ ...impression(), position: "1" }] }),
      400,
      "BAD_USER_INPUT",
      /Int cannot represent/,
    ],
    [
      "a missing postId",
      () => ({ ...good(), impressions: [{ viewedAt: "2026-11-22T10:15:30Z" }] }),
      400,
      "BAD_USER_INPUT",
      /postId/,
    ],
    [
      "a bad viewedAt",
      () => ({ ...good(), impressions: [{ postId: "p", viewedAt: "2026-02-30T10:15:30Z" }] }),
      400,
      "BAD_USER_INPUT",
      /impressions\[0\]\.viewedAt.*RFC 3339/,
    ],
    [
      "a bad sentAt",
      () => ({ ...good(), sentAt: 1_790_000_000_000 }),
      400,
      "BAD_USER_INPUT",
      /sentAt.*RFC 3339/,
    ],
    [
      "an unknown field",
      () => ({ ...good(), device: "x" }),
      400,
      "BAD_USER_INPUT",
      /"device" is not defined/,
    ],
  ])("%s", async (_name, input, status, code, message) => {
    expectRefusal(await api.post(record(input())), status, code, message);
    await queueIsEmpty();
  });
});

describe("arguments of queries", () => {
  test.each<[string, string, Record<string, unknown>, string, RegExp]>([
    [
      "first 0",
      '{ seenPosts(userId: "u", first: 0) { nodes { views } } }',
      {},
      "BAD_USER_INPUT",
      /^first must be from 1 to 500, not 0\./,
    ],
    [
      "first 501",
      '{ postViewers(postId: "p", first: 501) { nodes { views } } }',
      {},
      "BAD_USER_INPUT",
      /^first must be from 1 to 500, not 501\./,
    ],
    [
      "first 2,000,000,000",
      '{ seenPosts(userId: "u", first: 2000000000) { nodes { views } } }',
      {},
      "BAD_USER_INPUT",
      /^first must be/,
    ],
    [
      "first -1 of dead letters",
      "{ deadLetters(first: -1) { nodes { id } } }",
      {},
      "BAD_USER_INPUT",
      /^first must be/,
    ],
    [
      "first null",
      "query ($n: Int) { deadLetters(first: $n) { nodes { id } } }",
      { n: null },
      "BAD_USER_INPUT",
      /Argument "first" of non-null type/,
    ],
    [
      "an empty userId",
      '{ seenPosts(userId: "") { nodes { views } } }',
      {},
      "BAD_USER_INPUT",
      /^userId must not be empty/,
    ],
    [
      "NUL in a postId",
      "query ($id: ID!) { postViewers(postId: $id) { nodes { views } } }",
      { id: "p\u0000" },
      "BAD_USER_INPUT",
      /^postId must not contain control/,
    ],
    [
      "half a surrogate pair in an id",
      "query ($id: ID!) { user(id: $id) { id } }",
      { id: "\udc00" },
      "BAD_USER_INPUT",
      /^id must be well-formed/,
    ],
    [
      "a long id",
      "query ($id: ID!) { post(id: $id) { id } }",
      { id: "x".repeat(129) },
      "BAD_USER_INPUT",
      /^id must have at most 128/,
    ],
    [
      "101 users",
      "query ($ids: [ID!]!) { users(ids: $ids) { id } }",
      { ids: Array(101).fill("u") },
      "BAD_USER_INPUT",
      /^ids must hold at most 100 ids, not 101/,
    ],
    [
      "101 posts",
      "query ($ids: [ID!]!) { posts(ids: $ids) { id } }",
      { ids: Array(101).fill("p") },
      "BAD_USER_INPUT",
      /^ids must hold at most 100/,
    ],
    [
      "a bad id among users",
      "query ($ids: [ID!]!) { users(ids: $ids) { id } }",
      { ids: ["u", ""] },
      "BAD_USER_INPUT",
      /^ids\[1\] must not be empty/,
    ],
    [
      "1001 candidates",
      'query ($c: [ID!]!) { unseenPosts(userId: "u", candidates: $c) }',
      { c: Array(1001).fill("p") },
      "BAD_USER_INPUT",
      /^candidates must hold at most 1000 post ids, not 1001/,
    ],
    [
      "a bad candidate",
      'query ($c: [ID!]!) { unseenPosts(userId: "u", candidates: $c) }',
      { c: ["p", "undefined"] },
      "BAD_USER_INPUT",
      /^candidates\[1\] must be a real id/,
    ],
    [
      "minViews 0",
      '{ unseenPosts(userId: "u", candidates: [], rule: { minViews: 0 }) }',
      {},
      "BAD_USER_INPUT",
      /^rule\.minViews must be from 1/,
    ],
    [
      "a negative minViews",
      '{ unseenPosts(userId: "u", candidates: [], rule: { minViews: -2 }) }',
      {},
      "BAD_USER_INPUT",
      /^rule\.minViews/,
    ],
    [
      "a minViews that is more than are counted",
      '{ unseenPosts(userId: "u", candidates: [], rule: { minViews: 1001 }) }',
      {},
      "BAD_USER_INPUT",
      /^rule\.minViews must be from 1 to 1000, not 1001\.$/,
    ],
    [
      "a negative minDwellMs",
      '{ unseenPosts(userId: "u", candidates: [], rule: { minDwellMs: -1 }) }',
      {},
      "BAD_USER_INPUT",
      /^rule\.minDwellMs must be 0 or more/,
    ],
    [
      "a broken cursor",
      '{ seenPosts(userId: "u", after: "broken") { nodes { views } } }',
      {},
      "INVALID_CURSOR",
      /^after is not a cursor of this list\. Pass the endCursor/,
    ],
    [
      "an empty cursor",
      '{ seenPosts(userId: "u", after: "") { nodes { views } } }',
      {},
      "INVALID_CURSOR",
      /^after is not/,
    ],
    [
      "a broken cursor of dead letters",
      '{ deadLetters(after: "broken") { nodes { id } } }',
      {},
      "INVALID_CURSOR",
      /^after is not/,
    ],
    [
      "a bad user to erase",
      'mutation { eraseUser(userId: "") { id } }',
      {},
      "BAD_USER_INPUT",
      /^userId must not be empty/,
    ],
    [
      "a long id in a filter",
      "mutation ($f: DeadLetterFilter!) { discardDeadLetters(filter: $f) { done } }",
      { f: { ids: ["x".repeat(513)] } },
      "BAD_USER_INPUT",
      /^filter\.ids\[0\] must have at most 512/,
    ],
    [
      "1001 ids in a filter",
      "mutation ($f: DeadLetterFilter!) { replayDeadLetters(filter: $f) { done } }",
      { f: { ids: Array(1001).fill("x") } },
      "BAD_USER_INPUT",
      /^filter\.ids must hold at most 1000/,
    ],
    [
      "an unknown reason",
      "query ($r: DeadLetterReason) { deadLetters(reason: $r) { nodes { id } } }",
      { r: "BORED" },
      "BAD_USER_INPUT",
      /"BORED" does not exist/,
    ],
  ])("%s", async (_name, query, variables, code, message) => {
    expectRefusal(await api.post({ query, variables }), 400, code, message);
  });
});
