import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { text as readText } from "node:stream/consumers";
import { ReadableStream } from "node:stream/web";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Api, type HttpAnswer, readAnswer, startApi } from "../support/api.ts";
import { expectNothingQueued, expectRefusal, impressionOf, recordRequest } from "../support/refusals.ts";

/** Requests that a client can send wrongly, and what it is told: code, status and a sentence. */

let api: Api;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

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
    const text = JSON.stringify(recordRequest({ userId: "u?", impressions: [impressionOf()] }));
    const bytes = Buffer.from(text, "utf8");
    bytes[text.indexOf("?")] = 0xff;
    expectRefusal(await api.post(bytes), 400, "BAD_USER_INPUT", /UTF-8/);
    await expectNothingQueued(api);
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

  test("a malformed Host header changes nothing", async () => {
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
