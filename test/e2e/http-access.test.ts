import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { OverloadedError, SubmissionTooLargeError } from "../../src/ingest/errors.ts";
import { QueueFullError, QueueUnavailableError } from "../../src/ports/errors.ts";
import { AUDIENCE, ISSUER, signWith } from "../kit/tokens.ts";
import { type Api, type ApiOptions, type HttpAnswer, startApi } from "../support/api.ts";

/** The checks between a caller and GraphQL in addition to the token: rate limits, origins, headers, slow senders. */

const SECRET = "a secret of thirty-two bytes, at least";
const JWT = { AUTH: "jwt", JWT_SECRET: SECRET, JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE };
const bearer = async (claims: Record<string, unknown>) => ({
  authorization: `Bearer ${await signWith(SECRET, "HS256", claims)}`,
});

async function start(options: ApiOptions): Promise<Api> {
  const api = await startApi(options);
  onTestFinished(() => api.stop());
  return api;
}

function views(count: number, userId?: string) {
  const viewedAt = new Date().toISOString();
  const impressions = Array.from({ length: count }, (_, index) => ({ postId: `p${index}`, viewedAt }));
  return {
    query: "mutation R($input: RecordImpressionsInput!) { recordImpressions(input: $input) { accepted } }",
    variables: { input: { userId, impressions } },
  };
}

function expectRateLimited({ status, headers, json }: HttpAnswer): void {
  expect(status).toBe(429);
  const retryAfterMs = json.errors?.[0]?.extensions.retryAfterMs as number;
  expect(json.errors?.[0]?.extensions).toEqual({ code: "RATE_LIMITED", retryAfterMs: expect.any(Number) });
  expect(retryAfterMs).toBeGreaterThan(0);
  expect(headers.get("retry-after")).toBe(String(Math.ceil(retryAfterMs / 1_000)));
}

describe("impressions a day", () => {
  test.each(["on", "off"])("are counted as those a minute are (GRAPHQL_JIT=%s)", async (jit) => {
    const environment = { ...JWT, IMPRESSIONS_PER_DAY_MAX: "1000", GRAPHQL_JIT: jit };
    const api = await start({ environment });
    const scope = "impressions:write";
    const [maria, josef] = [await bearer({ sub: "maria", scope }), await bearer({ sub: "josef", scope })];
    for (const headers of [maria, maria, josef, josef])
      expect((await api.post(views(500), headers)).status).toBe(200);
    const refused = await api.post(views(500), maria);
    expectRateLimited(refused);
    // Half of a day's worth: it passes in half a day.
    expect(refused.json.errors?.[0]?.extensions.retryAfterMs).toBeGreaterThan(11 * 3_600_000);
    const importer = await bearer({ scope: "impressions:admin" });
    for (let list = 0; list < 5; list++)
      expect((await api.post(views(500, "maria"), importer)).status).toBe(200);
  });
});

describe("impressions a minute", () => {
  test.each(["on", "off"])(
    "are counted for each subject, and not for admins (GRAPHQL_JIT=%s)",
    async (jit) => {
      const api = await start({
        environment: { ...JWT, IMPRESSIONS_PER_MINUTE_MAX: "1000", GRAPHQL_JIT: jit },
      });
      const scope = "impressions:write";
      const [maria, josef] = [await bearer({ sub: "maria", scope }), await bearer({ sub: "josef", scope })];
      const importer = await bearer({ scope: "impressions:admin" });
      for (const headers of [maria, maria, josef, josef])
        expect((await api.post(views(500), headers)).json.data).toEqual({
          recordImpressions: { accepted: 500 },
        });
      const { bytes } = await api.engine.queue.stats();
      for (let attempt = 0; attempt < 4; attempt++) {
        expectRateLimited(await api.post(views(500), maria));
        // Another token of the same user changes nothing.
        expectRateLimited(
          await api.post(views(500), await bearer({ sub: "maria", scope, jti: String(attempt) })),
        );
      }
      expect((await api.engine.queue.stats()).bytes).toBe(bytes);
      for (let list = 0; list < 5; list++)
        expect((await api.post(views(500, "maria"), importer)).status).toBe(200);
    },
  );

  test.each([
    ["OVERLOADED", new OverloadedError("x")],
    ["OVERLOADED", new QueueFullError("x")],
    ["QUEUE_UNAVAILABLE", new QueueUnavailableError("x")],
    ["BATCH_TOO_LARGE", new SubmissionTooLargeError("x")],
  ])("are not counted where the answer is %s (%s)", async (code, error) => {
    let refuses = true;
    const api = await start({
      environment: { IMPRESSIONS_PER_MINUTE_MAX: "500" },
      override: ({ recorder }) => ({
        recorder: { record: (request) => (refuses ? Promise.reject(error) : recorder.record(request)) },
      }),
    });
    for (let list = 0; list < 3; list++) {
      const { json } = await api.post(views(500, "maria"));
      expect(json.errors?.[0]?.extensions.code).toBe(code);
    }
    refuses = false;
    expect((await api.post(views(500, "maria"))).status).toBe(200);
    expectRateLimited(await api.post(views(1, "maria")));
  });

  test("are no more than allowed, although many lists wait for the queue at once", async () => {
    const waiting = Promise.withResolvers<void>();
    const api = await start({
      environment: { IMPRESSIONS_PER_MINUTE_MAX: "1000" },
      override: ({ recorder }) => ({
        recorder: { record: (request) => waiting.promise.then(() => recorder.record(request)) },
      }),
    });
    const lists = Array.from({ length: 5 }, () => api.post(views(500, "maria")));
    // Three are refused while the first two wait.
    let refused = 0;
    await new Promise<void>((resolve) => {
      for (const list of lists)
        void list.then(({ status }) => {
          if (status === 429 && ++refused === 3) resolve();
        });
    });
    waiting.resolve();
    expect((await Promise.all(lists)).map(({ status }) => status).sort()).toEqual([200, 200, 429, 429, 429]);
  });

  test("are counted for each address where there are no tokens", async () => {
    const api = await start({ environment: { IMPRESSIONS_PER_MINUTE_MAX: "500", TRUST_PROXY: "1" } });
    const from = (address: string) => ({ "x-forwarded-for": address });
    expect((await api.post(views(500, "maria"), from("192.0.2.1"))).status).toBe(200);
    expectRateLimited(await api.post(views(500, "josef"), from("192.0.2.1")));
    expect((await api.post(views(500, "josef"), from("192.0.2.2"))).status).toBe(200);
    // An IPv6 network is one sender: it has 2^64 addresses.
    expect((await api.post(views(500, "maria"), from("2001:db8::1"))).status).toBe(200);
    expectRateLimited(await api.post(views(500, "maria"), from("2001:db8::2")));
  });
});

describe("requests a minute from one address", () => {
  test("are refused before their token is looked at; admins that are known are not counted", async () => {
    const api = await start({ environment: { ...JWT, REQUESTS_PER_MINUTE_MAX: "5" } });
    const query = { query: "{ __typename }" };
    const admin = await bearer({ scope: "impressions:admin" });
    // The first one counts: its token is not verified yet.
    for (let request = 0; request < 20; request++) expect((await api.post(query, admin)).status).toBe(200);
    for (let request = 0; request < 4; request++)
      expect((await api.post(query, { authorization: "Bearer garbage" })).status).toBe(401);
    expectRateLimited(await api.post(query, { authorization: "Bearer garbage" }));
    expectRateLimited(await api.post(query, await bearer({ sub: "maria", scope: "impressions:read" })));
    expectRateLimited(await api.post("not even JSON"));
    expect((await api.post(query, admin)).status).toBe(200);
    // Only /graphql is limited.
    expect((await fetch(new URL("/healthz", api.url))).status).toBe(200);
  });

  test.each<[string, string, string[], number[]]>([
    ["off: a header says nothing", "off", ["192.0.2.1", "192.0.2.2", "192.0.2.3"], [200, 200, 429]],
    [
      "one proxy: what it has added, not what came",
      "1",
      ["1.1.1.1, 192.0.2.1", "2.2.2.2, 192.0.2.1", "3.3.3.3, 192.0.2.1", "192.0.2.2"],
      [200, 200, 429, 200],
    ],
    [
      "two proxies",
      "2",
      ["192.0.2.1, 10.0.0.1", "192.0.2.1, 10.0.0.2", "192.0.2.1, 10.0.0.1", "192.0.2.2, 10.0.0.1"],
      [200, 200, 429, 200],
    ],
    [
      "proxies by their networks",
      "127.0.0.0/8, ::1, 10.0.0.0/8",
      ["192.0.2.1, 10.0.0.1", "192.0.2.1", "192.0.2.1, 10.9.9.9", "192.0.2.2"],
      [200, 200, 429, 200],
    ],
    [
      "an address with the port that a gateway has added is the address",
      "1",
      ["192.0.2.1:40000", "192.0.2.1:40001", "192.0.2.1", "192.0.2.1 , 192.0.2.1:1", "192.0.2.2:40000"],
      [200, 200, 429, 429, 200],
    ],
    [
      "an address of IPv6, in brackets and with a port",
      "1",
      ["[2001:db8::1]:40000", "[2001:db8::1]", "2001:db8::1", "[2001:db8:0:1::1]:40000"],
      [200, 200, 429, 200],
    ],
    [
      "proxies by their networks, with ports: they are proxies, and those behind them are not one",
      "127.0.0.0/8, ::1, 10.0.0.0/8, fd00::/8",
      [
        "192.0.2.1:1, 10.0.0.1:4000",
        "192.0.2.2:1, 10.0.0.1:4000",
        "192.0.2.1:2, [fd00::7]:4001",
        "192.0.2.1, 10.0.0.1",
      ],
      [200, 200, 200, 429],
    ],
    ["a foreign proxy", "10.0.0.0/8", ["192.0.2.1", "192.0.2.2", "192.0.2.3"], [200, 200, 429]],
  ])("TRUST_PROXY, %s", async (_, trustProxy, forwardedFor, statuses) => {
    const api = await start({ environment: { REQUESTS_PER_MINUTE_MAX: "2", TRUST_PROXY: trustProxy } });
    const answers: number[] = [];
    for (const address of forwardedFor)
      answers.push((await api.post({ query: "{ __typename }" }, { "x-forwarded-for": address })).status);
    expect(answers).toEqual(statuses);
  });
});

describe("web pages of other origins", () => {
  const SHOP = "https://shop.example";
  let api: Api;
  beforeAll(async () => {
    api = await startApi({ environment: { ...JWT, CORS_ORIGINS: `${SHOP}, http://localhost:3000` } });
  });
  afterAll(() => api?.stop());

  const preflight = (origin: string, url = api.url) =>
    fetch(new URL("/graphql", url), {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
      },
    });

  test.each([SHOP, "http://localhost:3000"])(
    "%s may ask, with a token, and sees when to come again",
    async (origin) => {
      const asked = await preflight(origin);
      expect(asked.status).toBe(204);
      expect(asked.headers.get("access-control-allow-origin")).toBe(origin);
      expect(asked.headers.get("access-control-allow-methods")).toBe("GET, POST");
      expect(asked.headers.get("access-control-allow-headers")).toMatch(/authorization.*content-type/);
      expect(asked.headers.get("access-control-allow-credentials")).toBeNull();
      const answer = await api.post({ query: "{ __typename }" }, { origin });
      // Also an error has to be readable: a 401 tells the SDK to get a fresh token.
      expect(answer.status).toBe(401);
      expect(answer.headers.get("access-control-allow-origin")).toBe(origin);
      expect(answer.headers.get("access-control-expose-headers")).toMatch(/retry-after.*x-request-id/);
      expect(answer.headers.get("vary")).toMatch(/origin/i);
    },
  );

  test.each(["https://evil.example", "https://shop.example.evil.example", "http://shop.example", "null"])(
    "%s may not",
    async (origin) => {
      expect((await preflight(origin)).headers.get("access-control-allow-origin")).toBeNull();
      const answer = await api.post({ query: "{ __typename }" }, { origin });
      expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    },
  );

  test.each([
    ["https://*.app.example", "https://a.app.example", true],
    ["https://*.app.example", "https://a.b-1.app.example", true],
    ["https://*.app.example", "https://app.example", false],
    ["https://*.app.example", "http://a.app.example", false],
    ["https://*.app.example", "https://a.app.example:8443", false],
    ["https://*.app.example", "https://evil-app.example", false],
    ["https://*.app.example", "https://aapp.example", false],
    ["https://*.app.example", "https://a.appxexample", false],
    ["https://*.app.example", "https://evil.example/.app.example", false],
    ["https://*.app.example", "https://evil.example#.app.example", false],
    ["https://*.app.example", "https://a.app.example.evil.example", false],
    ["https://*.app.example:8443", "https://a.app.example:8443", true],
    ["capacitor://localhost", "capacitor://localhost", true],
    ["capacitor://localhost", "ionic://localhost", false],
    ["http://localhost:3000", "http://localhost:3001", false],
  ])("CORS_ORIGINS=%s, a page of %s: %s", async (CORS_ORIGINS, origin, may) => {
    const { url } = await start({ environment: { CORS_ORIGINS } });
    const { headers } = await preflight(origin, url);
    expect(headers.get("access-control-allow-origin")).toBe(may ? origin : null);
  });

  test("a page may send what the API reads, and what tracing adds, or what CORS_HEADERS says instead", async () => {
    const allowed = async (url: string) =>
      (await preflight(SHOP, url)).headers.get("access-control-allow-headers")?.split(", ") ?? [];
    const ours = [
      "authorization",
      "content-type",
      "content-encoding",
      "apollo-require-preflight",
      "x-request-timeout-ms",
      "x-request-id",
    ];
    expect(await allowed(api.url)).toEqual(
      expect.arrayContaining([
        ...ours,
        "traceparent",
        "tracestate",
        "baggage",
        "sentry-trace",
        "x-datadog-trace-id",
      ]),
    );
    const own = await start({ environment: { CORS_ORIGINS: SHOP, CORS_HEADERS: "X-Shop" } });
    expect((await allowed(own.url)).sort()).toEqual([...ours, "x-shop"].sort());
  });

  test("none may where none is named", async () => {
    const closed = await start({});
    const asked = await preflight(SHOP, closed.url);
    expect([asked.status, asked.headers.get("access-control-allow-origin")]).toEqual([405, null]);
  });

  test.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""])(
    "what a page can send without asking first is refused (%j)",
    async (type) => {
      const open = await start({});
      const query = 'mutation { eraseUser(userId: "maria") { id } }';
      const answer = await fetch(new URL("/graphql", open.url), {
        method: "POST",
        headers: { origin: "https://evil.example", "content-type": type },
        body: JSON.stringify({ query }),
      });
      expect(answer.status).toBe(415);
      expect(await open.run("{ unfinishedErasures { id } }")).toEqual({ unfinishedErasures: [] });
    },
  );
});

describe("every answer", () => {
  test("lets no page show it, run it or keep it", async () => {
    const api = await start({ environment: { ...JWT, PLAYGROUND: "on" } });
    for (const path of [
      "/",
      "/graphql",
      "/healthz",
      "/readyz",
      "/playground",
      "/playground/start.js",
      "/nothing",
    ]) {
      const { headers } = await fetch(new URL(path, api.url), { redirect: "manual" });
      expect(headers.get("x-content-type-options"), path).toBe("nosniff");
      expect(headers.get("referrer-policy"), path).toBe("no-referrer");
      expect(headers.get("cross-origin-resource-policy"), path).toBe("same-origin");
      expect(headers.get("content-security-policy"), path).toMatch(
        /^default-src 'none'.*frame-ancestors 'none'$/,
      );
      expect(headers.get("x-powered-by"), path).toBeNull();
    }
    for (const headers of [{}, await bearer({ scope: "impressions:read" })])
      expect((await api.post({ query: "{ __typename }" }, headers)).headers.get("cache-control")).toBe(
        "no-store",
      );
  });
});

describe("slow senders", () => {
  const HEAD = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

  test.each([
    ["the first bytes of the headers", HEAD],
    ["half of a body", `${HEAD}content-length: 1000\r\n\r\n{"query":`],
  ])("is cut off: %s, and then nothing", async (_, bytes) => {
    const api = await start({
      override: () => ({ arrival: { headersMs: 200, requestMs: 400, checkMs: 50 } }),
    });
    const socket = connect(Number(new URL(api.url).port), "127.0.0.1");
    let answer = "";
    socket.on("data", (data: Buffer) => (answer += data));
    socket.write(bytes);
    await once(socket, "close");
    expect(answer).toMatch(/^HTTP\/1.1 408 Request Timeout/);
    expect(answer).toContain('"BAD_USER_INPUT"');
  });
});
