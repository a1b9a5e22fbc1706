import { type Logger, pino } from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { OverloadedError, SubmissionTooLargeError } from "../../src/ingest/errors.ts";
import { DeadLettersFullError } from "../../src/ports/errors.ts";
import type { HttpServerDependencies } from "../../src/server/http-server.ts";
import { type Api, type HttpAnswer, startApi } from "../support/api.ts";

/** The errors that callers get when a part behind the API fails. */

const RECORD = "mutation ($input: RecordImpressionsInput!) { recordImpressions(input: $input) { accepted } }";
const SECRET = "connect ECONNREFUSED 10.1.2.3:9042 password=hunter2";

const apis: Api[] = [];
afterEach(async () => {
  for (const api of apis.splice(0)) await api.stop();
});

async function start(
  override?: (real: HttpServerDependencies) => Partial<HttpServerDependencies>,
): Promise<Api> {
  const api = await startApi(override === undefined ? {} : { override });
  apis.push(api);
  return api;
}

const record = (api: Api) =>
  api.post({
    query: RECORD,
    variables: {
      input: { userId: "u1", impressions: [{ postId: "p", viewedAt: new Date().toISOString() }] },
    },
  });

const failing = (error: unknown) => () =>
  start(() => ({ recorder: { record: () => Promise.reject(error) } }));

function expectRetryable(answer: HttpAnswer, code: string): void {
  const [error] = answer.json.errors ?? [];
  expect(answer.status, answer.text).toBe(503);
  expect(error?.extensions).toEqual({ code, retryAfterMs: expect.any(Number) });
  const retryAfterMs = error?.extensions.retryAfterMs as number;
  expect(retryAfterMs).toBeGreaterThanOrEqual(1_000);
  expect(retryAfterMs).toBeLessThanOrEqual(3_000);
  expect(answer.headers.get("retry-after")).toBe(String(Math.ceil(retryAfterMs / 1_000)));
}

describe("a queue that is gone", () => {
  test("refuses the mutation as retryable", async () => {
    const api = await start();
    await api.engine.close();
    const answer = await record(api);
    expectRetryable(answer, "QUEUE_UNAVAILABLE");
    expect(answer.json.errors?.[0]).toMatchObject({
      path: ["recordImpressions"],
      message: expect.stringMatching(/Send the same again after retryAfterMs/),
    });
  });
});

describe("a store that is gone", () => {
  test.each([
    '{ seenPosts(userId: "u") { nodes { views } } }',
    '{ postViewers(postId: "p") { nodes { views } } }',
    '{ unseenPosts(userId: "u", candidates: ["p"]) }',
    '{ erasure(id: "e") { id } }',
    'mutation { eraseUser(userId: "u") { id } }',
  ])("%s", async (query) => {
    const api = await start();
    await api.engine.close();
    expectRetryable(await api.post({ query }), "STORE_UNAVAILABLE");
  });

  test("spoils only the fields that read it, and the most severe status wins", async () => {
    const api = await start();
    await api.engine.close();
    const answer = await api.post({
      query: '{ erasure(id: "e") { id } bad: erasure(id: "") { id } __typename }',
    });
    expect(answer.json.data).toEqual({ erasure: null, bad: null, __typename: "Query" });
    expect(answer.json.errors?.map(({ extensions }) => extensions.code).sort()).toEqual([
      "BAD_USER_INPUT",
      "STORE_UNAVAILABLE",
    ]);
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toMatch(/^[123]$/);
  });
});

describe("a recorder that refuses", () => {
  test("overload is retryable", async () => {
    expectRetryable(await record(await failing(new OverloadedError(SECRET))()), "OVERLOADED");
  });

  test("a list that is too large for a message", async () => {
    const answer = await record(await failing(new SubmissionTooLargeError(SECRET))());
    expect(answer.status).toBe(413);
    expect(answer.json.errors?.[0]).toMatchObject({ extensions: { code: "BATCH_TOO_LARGE" } });
    expect(answer.text).not.toContain("hunter2");
  });
});

describe("dead letters at their limit", () => {
  test("are an overload", async () => {
    const api = await start(({ deadLetterActions }) => ({
      deadLetterActions: {
        ...deadLetterActions,
        replay: () => Promise.reject(new DeadLettersFullError(SECRET)),
      },
    }));
    expectRetryable(
      await api.post({ query: "mutation { replayDeadLetters(filter: {}) { done } }" }),
      "OVERLOADED",
    );
  });
});

describe("a bug", () => {
  test.each([
    ["an Error", new Error(SECRET)],
    ["an error with a code", Object.assign(new Error(SECRET), { code: "ECONNREFUSED" })],
    ["a text", SECRET],
    [
      "an error that claims to be a public one",
      Object.assign(new Error(SECRET), { extensions: { code: "BAD_USER_INPUT", secret: SECRET } }),
    ],
  ])("%s is logged and not told", async (_name, error) => {
    const lines: string[] = [];
    const logger: Logger = pino({ level: "info" }, { write: (line) => void lines.push(line) });
    const api = await start(() => ({ recorder: { record: () => Promise.reject(error) }, logger }));
    const answer = await record(api);
    // A field that fails unexpectedly is an answer with an error in it.
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({
      data: null,
      errors: [
        {
          message: expect.stringMatching(/^Something went wrong on our side/),
          locations: expect.any(Array),
          path: ["recordImpressions"],
          extensions: { code: "INTERNAL_SERVER_ERROR" },
        },
      ],
    });
    expect(answer.text).not.toContain("hunter2");
    expect(lines.join("")).toContain("hunter2");
    expect(lines.join("")).toContain('"path":["recordImpressions"]');
  });

  test("its line and the answer have one id: the caller's where that is one, compiled or not", async () => {
    const lines: string[] = [];
    const logger: Logger = pino({ level: "info" }, { write: (line) => void lines.push(line) });
    const api = await start(() => ({
      recorder: { record: () => Promise.reject(new Error(SECRET)) },
      logger,
    }));
    const body = {
      query:
        "mutation Record($input: RecordImpressionsInput!) { recordImpressions(input: $input) { accepted } }",
      variables: {
        input: { userId: "u", impressions: [{ postId: "p", viewedAt: new Date().toISOString() }] },
      },
    };
    const ids: unknown[] = [];
    for (const sent of ["caller:1", "caller-2", "caller_3", "caller.4", "not an id", "x".repeat(65)]) {
      const { headers } = await api.post(body, { "x-request-id": sent });
      ids.push(headers.get("x-request-id"));
    }
    expect(ids.slice(0, 4)).toEqual(["caller:1", "caller-2", "caller_3", "caller.4"]);
    for (const id of ids.slice(4)) expect(id).toMatch(/^[0-9a-f-]{36}$/);
    const logged = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(logged.map(({ requestId, operation }) => [requestId, operation])).toEqual(
      ids.map((id) => [id, "Record"]),
    );
  });

  test("a request that runs out of time is a line in the log", async () => {
    const lines: string[] = [];
    const logger: Logger = pino({ level: "info" }, { write: (line) => void lines.push(line) });
    const api = await start(({ store }) => ({
      logger,
      store: {
        ...store,
        seenPosts: (_request, signal) =>
          new Promise((_resolve, reject) =>
            signal?.addEventListener("abort", () => reject(signal.reason as Error)),
          ),
      },
    }));
    const query = 'query SeenPosts { seenPosts(userId: "u") { nodes { views } } }';
    const answer = await api.post({ query }, { "x-request-timeout-ms": "20", "x-request-id": "late" });
    expect(answer.status).toBe(503);
    await expect.poll(() => lines.length).toBe(1);
    expect(JSON.parse(lines[0] ?? "{}")).toMatchObject({
      level: 40,
      requestId: "late",
      operation: "SeenPosts",
      code: "STORE_UNAVAILABLE",
      msg: "a request ran out of time: the store did not answer within it",
    });
  });

  test("an ordinary request leaves no line in the log", async () => {
    const lines: string[] = [];
    const logger: Logger = pino({ level: "info" }, { write: (line) => void lines.push(line) });
    const api = await start(() => ({ logger }));
    await record(api);
    await api.post({ query: "{ nothing }" });
    await api.post("{", {});
    expect(lines).toEqual([]);
  });
});

describe("introspection", () => {
  const QUERY = { query: "{ __schema { queryType { name } } }" };

  test("on", async () => {
    const api = await start();
    expect(await api.run(QUERY.query)).toEqual({ __schema: { queryType: { name: "Query" } } });
  });

  test("off, with no hint about names either", async () => {
    const api = await startApi({ environment: { INTROSPECTION: "off" } });
    apis.push(api);
    const answer = await api.post(QUERY);
    expect(answer.status).toBe(400);
    expect(answer.json.errors?.[0]).toMatchObject({
      message: expect.stringMatching(/^Introspection is off here/),
      extensions: { code: "BAD_USER_INPUT" },
    });
    const typo = await api.post({ query: "{ pipelin { engine } }" });
    expect(typo.text).not.toContain("pipeline");
  });
});
