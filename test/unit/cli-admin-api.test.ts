import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, expect, onTestFinished, test } from "vitest";
import { connectAdminApi } from "../../src/cli/admin-api.ts";
import type { AdminApi, CliDependencies } from "../../src/cli/dependencies.ts";
import { CommandError } from "../../src/cli/failure.ts";
import { readConfig } from "../../src/config.ts";
import { DeadLettersDocument } from "../../src/generated/operations.ts";
import { EngineInUseError, EngineStartError } from "../../src/ports/errors.ts";

const TOKEN = "secret-token";

/** A server that answers every request like the API, and what it was asked. */
async function startServer(host: string) {
  const requests: Pick<IncomingMessage, "url" | "headers">[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    response.end(JSON.stringify({ data: { deadLetters: { nodes: [] } } }));
  });
  server.listen(0, host);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, requests };
}

const local: AdminApi = { request: () => Promise.reject(new Error("local")), close: async () => undefined };
const dependencies = { openLocalAdmin: async () => local } as Partial<CliDependencies> as CliDependencies;

async function ask(environment: Record<string, string>): Promise<AdminApi> {
  const config = readConfig({ IMPRESSIONS_TOKEN: TOKEN, ...environment });
  const api = await connectAdminApi(dependencies, config);
  await api.request(DeadLettersDocument, { first: 1, after: null, reason: null });
  return api;
}

describe("IMPRESSIONS_URL", () => {
  test.each([
    ["", "/graphql"],
    ["/", "/graphql"],
    ["/impressions", "/impressions/graphql"],
    ["/behind/a/proxy/", "/behind/a/proxy/graphql"],
    ["/x?a=b#c", "/x/graphql"],
  ])("%j is asked at %s, with the token", async (path, expected) => {
    const { port, requests } = await startServer("127.0.0.1");
    await ask({ IMPRESSIONS_URL: `http://127.0.0.1:${port}${path}` });
    expect(requests.map(({ url, headers }) => [url, headers.authorization])).toEqual([
      [expected, `Bearer ${TOKEN}`],
    ]);
  });

  test.each(["http://name:hunter2@127.0.0.1:1", "http://name@127.0.0.1:1"])(
    "with a user or password is refused, and not repeated (%s)",
    async (url) => {
      const failure = await ask({ IMPRESSIONS_URL: url }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(CommandError);
      expect((failure as CommandError).message).toContain("IMPRESSIONS_TOKEN");
      expect((failure as CommandError).message).not.toMatch(/hunter2|name@/);
    },
  );
});

describe("without IMPRESSIONS_URL", () => {
  const authorizations = (requests: readonly Pick<IncomingMessage, "url" | "headers">[]) =>
    requests.map(({ url, headers }) => [url, headers.authorization]);

  test.each(["127.0.0.1", "0.0.0.0"])("a service on this machine gets the token (HOST=%s)", async (host) => {
    const { port, requests } = await startServer(host);
    await ask({ HOST: host, PORT: String(port), ALLOW_INSECURE: "1" });
    expect(authorizations(requests)).toEqual([
      ["/healthz", undefined],
      ["/graphql", `Bearer ${TOKEN}`],
    ]);
  });

  const [outside] = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, family }) => !internal && family === "IPv4");

  test.runIf(outside !== undefined)("a service on another address does not", async () => {
    const host = outside?.address ?? "";
    const { port, requests } = await startServer(host);
    await ask({ HOST: host, PORT: String(port), ALLOW_INSECURE: "1" });
    expect(authorizations(requests)).toEqual([
      ["/healthz", undefined],
      ["/graphql", undefined],
    ]);
  });

  test("where nothing answers the engine is opened here", async () => {
    await expect(ask({ PORT: "1" })).rejects.toThrow("local");
  });

  test("where nothing answers and another process has the engine it says how to reach that process", async () => {
    const opening = async (error: Error) => {
      const openLocalAdmin = () => Promise.reject(error);
      return connectAdminApi({ openLocalAdmin }, readConfig({ HOST: "::1", PORT: "1" }));
    };
    await expect(opening(new EngineInUseError("./data is in use by process 7"))).rejects.toThrow(
      "no service answers at http://[::1]:1/ (where it listens elsewhere, set PORT or IMPRESSIONS_URL), " +
        "and ./data is in use by process 7",
    );
    const damaged = new EngineStartError("./data is damaged");
    await expect(opening(damaged)).rejects.toBe(damaged);
  });
});
