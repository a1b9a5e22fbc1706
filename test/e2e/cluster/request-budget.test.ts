import { request as httpRequest } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { DAY_MS } from "../../../src/domain/time.ts";
import { RecordImpressionsDocument } from "../../../src/generated/operations.ts";
import { RequestOverError } from "../../../src/resolvers/request-budget.ts";
import { request } from "../../kit/graphql-request.ts";
import type {} from "../../servers/global-setup.ts";
import { type Rule, startTcpProxy, type TcpProxy } from "../../servers/tcp-proxy.ts";
import type { Api } from "../../support/api.ts";
import { type ClusterApi, startClusterApi } from "../../support/cluster-api.ts";
import { noteSentStatements } from "../../support/sent-statements.ts";

/**
 * A store and a queue that fall silent: real ones, behind a proxy that holds everything back. The driver itself would
 * wait for two minutes here, which no test does: an answer is one that the request's own budget gave.
 */

/** More than a test may take. */
const DRIVER_TIMEOUT_MS = 120_000;
const REQUEST_TIMEOUT_MS = 2_000;
/** Most statements of one request at a time: 16 reads of the store, each of one user's history. */
const STATEMENTS_AT_ONCE = 16;

/** Nothing passes, in either direction, and nothing is closed. */
const SILENCE: Rule = () => "HOLD";

let installation: ClusterApi;
let api: Api;
let store: TcpProxy;
let queue: TcpProxy;
let sent: ReturnType<typeof noteSentStatements>;

beforeAll(async () => {
  const [contactPoint = ""] = inject("scyllaContactPoints");
  const [natsServer = ""] = inject("natsServers");
  store = await startTcpProxy(contactPoint);
  queue = await startTcpProxy(natsServer);
  installation = await startClusterApi({ environment: environment(REQUEST_TIMEOUT_MS) });
  api = installation.api;
  await api.store([{ userId: "u", postId: "seen", viewedAtMs: Date.now() - DAY_MS }]);
  sent = noteSentStatements();
});
afterEach(async () => {
  store.heal();
  queue.heal();
  await Promise.all(sent.all.map(({ settled }) => settled));
  sent.all.splice(0);
});
afterAll(async () => {
  sent?.stop();
  await installation?.stop();
  await Promise.all([store?.close(), queue?.close()]);
});

const environment = (requestTimeoutMs: number) => ({
  SCYLLA_CONTACT_POINTS: store.address,
  NATS_SERVERS: queue.address,
  SCYLLA_REQUEST_TIMEOUT_MS: String(DRIVER_TIMEOUT_MS),
  REQUEST_TIMEOUT_MS: String(requestTimeoutMs),
  PUBLISH_TIMEOUT_MS: "1000",
});

const MANY = {
  query: `query ($ids: [ID!]!, $candidates: [ID!]!) { users(ids: $ids) { unseenPosts(candidates: $candidates) } }`,
  variables: {
    ids: Array.from({ length: 100 }, (_, index) => `u${index}`),
    candidates: Array.from({ length: 500 }, (_, index) => `p${index}`),
  },
};
const ONE = { query: `{ unseenPosts(userId: "u", candidates: ["seen", "new"]) }` };

describe("a store that is silent", () => {
  test.each([
    ["unseenPosts", ONE.query],
    ["seenPosts", `{ seenPosts(userId: "u") { nodes { views } } }`],
    ["postViewers", `{ postViewers(postId: "seen") { nodes { views } } }`],
    ["erasure", `{ erasure(id: "1b4e28ba-2fa1-11d2-883f-0016d3cca427") { status } }`],
  ])("%s is answered STORE_UNAVAILABLE within the budget", async (field, query) => {
    store.setRule(SILENCE);
    const { status, headers, json } = await api.post({ query });
    expect(json.errors).toEqual([
      expect.objectContaining({
        message: `The store did not answer within ${REQUEST_TIMEOUT_MS} ms. Allow more time, ask for less, or ask again after retryAfterMs.`,
        path: [field],
        extensions: { code: "STORE_UNAVAILABLE", retryAfterMs: expect.any(Number) },
      }),
    ]);
    expect(status).toBe(503);
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
  });

  test("pipeline says so", async () => {
    store.setRule(SILENCE);
    expect(await api.run("{ pipeline { storeHealthy } }")).toEqual({ pipeline: { storeHealthy: false } });
  });

  test("a caller may ask for less, and gets no more than the service allows", async () => {
    store.setRule(SILENCE);
    const timeoutIn = async (header: string) => {
      const { json } = await api.post(ONE, { "x-request-timeout-ms": header });
      return /within (\d+) ms/.exec(json.errors?.[0]?.message ?? "")?.[1];
    };
    expect(await timeoutIn("50")).toBe("50");
    expect(await timeoutIn("999999999")).toBe(String(REQUEST_TIMEOUT_MS));
  });

  test.each(["", "0", "-1", "1.5", "1s", "5, 6", "9999999999"])(
    "the header %j is refused",
    async (header) => {
      const { status, json } = await api.post(ONE, { "x-request-timeout-ms": header });
      expect(status).toBe(400);
      expect(json.errors?.[0]).toMatchObject({
        message: expect.stringContaining("x-request-timeout-ms must be a whole number of milliseconds"),
        extensions: { code: "BAD_USER_INPUT" },
      });
      expect(sent.all).toEqual([]);
    },
  );

  test("a request that ran out of time asks for nothing more, and has only so much on its way", async () => {
    store.setRule(SILENCE);
    const { json } = await api.post(MANY, { "x-request-timeout-ms": "500" });
    expect(json.errors?.[0]?.extensions.code).toBe("STORE_UNAVAILABLE");
    expect(sent.all).toHaveLength(STATEMENTS_AT_ONCE);
    await expectNothingMoreAfterResuming();
  });

  test("a request whose client went away asks for nothing more", async () => {
    const signals: (AbortSignal | undefined)[] = [];
    const patient = await installation.startAnother({
      environment: environment(DRIVER_TIMEOUT_MS),
      override: (real) => ({
        store: {
          ...real.store,
          seenAmong(userId, postIds, rule, signal) {
            signals.push(signal);
            return real.store.seenAmong(userId, postIds, rule, signal);
          },
        },
      }),
    });
    store.setRule(SILENCE);
    const client = httpRequest(new URL("/graphql", patient.url), {
      method: "POST",
      headers: { "content-type": "application/json" },
    });
    client.on("error", () => undefined);
    client.end(JSON.stringify(MANY));
    await expect.poll(() => sent.all.length, { timeout: 60_000 }).toBe(STATEMENTS_AT_ONCE);
    client.destroy();
    await expect.poll(() => signals[0]?.reason, { timeout: 60_000 }).toBeInstanceOf(RequestOverError);
    await expectNothingMoreAfterResuming();
  });

  /** The statements on their way are answered; a request after them is too; none of the 84 others has been sent. */
  async function expectNothingMoreAfterResuming(): Promise<void> {
    const before = [...sent.all];
    store.heal();
    await Promise.all(before.map(({ settled }) => settled));
    expect(await api.run(ONE.query)).toEqual({ unseenPosts: ["new"] });
    expect(sent.all).toHaveLength(before.length + 1);
  }
});

test("a silent queue: a mutation is answered QUEUE_UNAVAILABLE, and queries go on", async () => {
  queue.setRule(SILENCE);
  const impressions = [{ postId: "p", viewedAt: new Date().toISOString() }];
  const mutation = request(api.url, RecordImpressionsDocument, { input: { userId: "u", impressions } });
  expect(await api.run(ONE.query)).toEqual({ unseenPosts: ["new"] });
  const { status, errors } = await mutation;
  expect(status).toBe(503);
  expect(errors?.[0]?.extensions?.code).toBe("QUEUE_UNAVAILABLE");
});

test("a request within its budget is answered as ever", async () => {
  expect((await api.post(ONE, { "x-request-timeout-ms": "60000" })).json).toEqual({
    data: { unseenPosts: ["new"] },
  });
});
