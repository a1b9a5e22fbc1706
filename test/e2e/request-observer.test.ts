import { afterEach, describe, expect, test } from "vitest";
import { ApiError } from "../../src/errors.ts";
import { StoreUnavailableError } from "../../src/ports/errors.ts";
import type { HttpServerDependencies } from "../../src/server/http-server.ts";
import type { ObservedRequest } from "../../src/server/request-observer.ts";
import { type Api, postTo, startApi } from "../support/api.ts";

let api: Api | undefined;
afterEach(() => api?.stop());

/** An API that writes down every request that it has observed, by operation and outcome. */
async function observing(
  override: (real: HttpServerDependencies) => Partial<HttpServerDependencies> = () => ({}),
) {
  const seen: ObservedRequest[] = [];
  api = await startApi({
    override: (real) => ({ ...override(real), onRequest: (request) => void seen.push(request) }),
  });
  const outcomes = () => seen.map(({ operation, code }) => `${operation} ${code}`);
  return { url: api.url, seen, outcomes };
}

const PIPELINE = { query: "query Pipeline { pipeline { engine } }" };

describe("every request is observed once", () => {
  test("also requests that are refused early", async () => {
    const { url, outcomes } = await observing(() => ({ requestsPerMinuteMax: 2 }));
    for (const body of [PIPELINE, "{ no json", PIPELINE]) await postTo(url, body);
    await expect.poll(outcomes).toEqual(["Pipeline OK", "other BAD_USER_INPUT", "other RATE_LIMITED"]);
  });

  test("whose token is none", async () => {
    const { url, outcomes } = await observing(() => ({
      authenticator: {
        known: () => null,
        authenticate: () => Promise.reject(new ApiError("UNAUTHENTICATED", "Send a token.")),
      },
    }));
    await postTo(url, PIPELINE);
    await expect.poll(outcomes).toEqual(["other UNAUTHENTICATED"]);
  });

  test("callers that disconnect before the answer", async () => {
    const asked = Promise.withResolvers<void>();
    const { url, outcomes } = await observing(({ store }) => ({
      store: {
        ...store,
        seenPosts: (_request, signal) => {
          asked.resolve();
          return new Promise((_resolve, reject) =>
            signal?.addEventListener("abort", () => reject(signal.reason as Error)),
          );
        },
      },
    }));
    const client = new AbortController();
    const waiting = fetch(new URL("/graphql", url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: 'query SeenPosts { seenPosts(userId: "u") { nodes { views } } }' }),
      signal: client.signal,
    });
    await asked.promise;
    client.abort();
    await expect(waiting).rejects.toThrow(/abort/);
    await expect.poll(outcomes).toEqual(["SeenPosts CLIENT_GONE"]);
  });

  test("by the most severe of its errors", async () => {
    const { url, outcomes } = await observing(({ store }) => ({
      store: {
        ...store,
        findErasure: (id) =>
          Promise.reject(id === "down" ? new StoreUnavailableError("") : new ApiError("FORBIDDEN", "No.")),
      },
    }));
    const query =
      'query Two { a: erasure(id: "not yours") { id } b: erasure(id: "down") { id } c: erasure(id: "no") { id } }';
    expect((await postTo(url, { query })).status).toBe(503);
    await expect.poll(outcomes).toEqual(["other STORE_UNAVAILABLE"]);
  });
});
