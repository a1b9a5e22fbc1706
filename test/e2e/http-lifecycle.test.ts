import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { text as readText } from "node:stream/consumers";
import { afterEach, describe, expect, test } from "vitest";
import { type Api, type ApiOptions, startApi } from "../support/api.ts";

/** The server around GraphQL: overview, health, readiness, headers, and how it closes. */

const apis: Api[] = [];
afterEach(async () => {
  for (const api of apis.splice(0)) await api.stop();
});

async function start(options: ApiOptions = {}): Promise<Api> {
  const api = await startApi(options);
  apis.push(api);
  return api;
}

const get = (api: Api, path: string, accept = "*/*") =>
  fetch(new URL(path, api.url), { headers: { accept }, redirect: "manual" });

describe("the overview", () => {
  test("for programs", async () => {
    const api = await start();
    expect(await (await get(api, "/")).json()).toEqual({
      name: "impressions",
      version: "0.0.0-test",
      places: {
        "/graphql": expect.any(String),
        "/playground": expect.any(String),
        "/healthz": expect.any(String),
        "/readyz": expect.any(String),
      },
      docs: expect.stringContaining("docs/errors.md"),
    });
  });

  test("for people, and for browsers that open the endpoint", async () => {
    const api = await start();
    const page = await get(api, "/", "text/html,*/*;q=0.8");
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    const html = await page.text();
    for (const path of ["/graphql", "/playground", "/healthz", "/readyz"])
      expect(html).toContain(`href=".${path}"`);
    const endpoint = await get(api, "/graphql", "text/html,*/*;q=0.8");
    expect([endpoint.status, endpoint.headers.get("location")]).toEqual([303, "./"]);
  });

  test("every answer tells browsers not to guess", async () => {
    const api = await start();
    for (const path of ["/", "/healthz", "/nothing", "/graphql?query={__typename}"]) {
      expect((await get(api, path)).headers.get("x-content-type-options"), path).toBe("nosniff");
    }
  });
});

describe("health", () => {
  test("healthz lives with the process, readyz with what it is told", async () => {
    const api = await start();
    expect(await (await get(api, "/healthz")).json()).toEqual({ status: "ok", version: "0.0.0-test" });
    const ready = await get(api, "/readyz");
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, queue: { healthy: true } }]);
    await api.engine.close();
    const notReady = await get(api, "/readyz");
    expect([notReady.status, await notReady.json()]).toMatchObject([
      503,
      { ready: false, queue: { healthy: false } },
    ]);
    expect((await get(api, "/healthz")).status).toBe(200);
  });

  test("readiness that cannot be told is not ready", async () => {
    const api = await start({ override: () => ({ readiness: () => Promise.reject(new Error("secret")) }) });
    const answer = await get(api, "/readyz");
    expect([answer.status, await answer.json()]).toEqual([503, { ready: false }]);
  });
});

describe("the playground", () => {
  test("is only there where it is on", async () => {
    const api = await start({ environment: { PLAYGROUND: "off" } });
    expect((await get(api, "/playground")).status).toBe(404);
    expect((await get(api, "/playground/graphiql.js")).status).toBe(404);
    expect(await (await get(api, "/")).text()).not.toContain("playground");
  });

  test("allows its page nothing from elsewhere", async () => {
    const api = await start();
    const page = await get(api, "/playground");
    const policy = page.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'; script-src 'self'");
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src[^;]*unsafe-inline/);
    expect(await page.text()).not.toMatch(/https?:\/\//);
  });

  test.each(["br", "gzip", "identity"])("sends its files once, encoded as %s", async (encoding) => {
    const api = await start();
    for (const file of [
      "graphiql.js",
      "graphiql.css",
      "editor.worker.js",
      "json.worker.js",
      "graphql.worker.js",
      "start.js",
    ]) {
      const url = new URL(`/playground/${file}`, api.url);
      const first = await fetch(url, { headers: { "accept-encoding": encoding } });
      expect(first.status).toBe(200);
      expect(first.headers.get("content-encoding")).toBe(encoding === "identity" ? null : encoding);
      expect(first.headers.get("vary")).toBe("accept-encoding");
      expect((await first.text()).length).toBeGreaterThan(1_000);
      const etag = first.headers.get("etag") ?? "";
      const again = await fetch(url, { headers: { "accept-encoding": encoding, "if-none-match": etag } });
      expect([again.status, await again.text()]).toEqual([304, ""]);
    }
  });

  test("an answer that a cache holds in one encoding is not taken for another", async () => {
    const api = await start();
    const etags = await Promise.all(
      ["br", "gzip", "identity"].map(async (encoding) => {
        const url = new URL("/playground", api.url);
        return (await fetch(url, { headers: { "accept-encoding": encoding } })).headers.get("etag");
      }),
    );
    expect(new Set(etags).size).toBe(3);
  });

  test("an encoding that is refused is not sent", async () => {
    const api = await start();
    const answer = await fetch(new URL("/playground/start.js", api.url), {
      headers: { "accept-encoding": "br;q=0, gzip; q=0.5" },
    });
    expect(answer.headers.get("content-encoding")).toBe("gzip");
    expect(await answer.text()).toContain("YogaGraphiQL");
  });

  test("an unknown file", async () => {
    const api = await start();
    expect((await get(api, "/playground/..%2f..%2fpackage.json")).status).toBe(404);
  });
});

describe("closing", () => {
  test("finishes the request in flight, ends its connection and takes no new one", async () => {
    const entered = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const api = await start({
      override: ({ store }) => ({
        store: {
          ...store,
          async seenPosts(request) {
            entered.resolve();
            await release.promise;
            return store.seenPosts(request);
          },
        },
      }),
    });
    const agent = new Agent({ keepAlive: true });
    // An idle connection must not hold the closing up.
    await answerOf(api, agent, "{ __typename }");
    const slow = answerOf(api, agent, '{ seenPosts(userId: "u") { nodes { views } } }');
    await entered.promise;
    const closing = api.closeServer();
    let closed = false;
    void closing.then(() => {
      closed = true;
    });
    await expect(fetch(new URL("/healthz", api.url))).rejects.toThrow();
    expect(closed).toBe(false);
    release.resolve();
    const { response, text } = await slow;
    expect(JSON.parse(text)).toEqual({ data: { seenPosts: { nodes: [] } } });
    expect(response.headers.connection).toBe("close");
    const settledAt = performance.now();
    await closing;
    // Not by the cut after 10 s.
    expect(performance.now() - settledAt).toBeLessThan(5_000);
    await api.closeServer();
    agent.destroy();
  });

  test("cuts off a request that does not finish", async () => {
    const entered = Promise.withResolvers<void>();
    const api = await start({
      override: ({ store }) => ({
        drainMs: 50,
        store: {
          ...store,
          seenPosts() {
            entered.resolve();
            return new Promise(() => undefined);
          },
        },
      }),
    });
    const endless = api.post({ query: '{ seenPosts(userId: "u") { nodes { views } } }' });
    const cut = expect(endless).rejects.toThrow();
    await entered.promise;
    await api.closeServer();
    await cut;
  });

  test("a port in use is the listener's own error", async () => {
    const api = await start();
    const { port } = new URL(api.url);
    await expect(startApi({ port: Number(port) })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  function answerOf(
    api: Api,
    agent: Agent,
    query: string,
  ): Promise<{ response: IncomingMessage; text: string }> {
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        new URL("/graphql", api.url),
        { method: "POST", agent, headers: { "content-type": "application/json" } },
        async (response) => resolve({ response, text: await readText(response) }),
      );
      request.on("error", reject);
      request.end(JSON.stringify({ query }));
    });
  }
});
