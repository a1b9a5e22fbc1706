import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { QueueUnavailableError, StoreUnavailableError } from "../../src/ports/errors.ts";
import type { ServiceProcess } from "../kit/service-process.ts";
import { startApi } from "../support/api.ts";
import { createApolloCaller } from "../support/clients/apollo.ts";
import type { Caller, CallerOptions } from "../support/clients/caller.ts";
import { createGraphQLRequestCaller } from "../support/clients/graphql-request.ts";
import { createUrqlCaller } from "../support/clients/urql.ts";
import { createEmbeddedInstallation } from "../support/embedded-installation.ts";

/** Ids that a client must not take for numbers, escape twice or normalize. */
const SPECIAL_IDS = [
  "007",
  "12345678901234567890",
  "1e3",
  "true",
  'a "quoted" \\ post',
  "Blumenkasten 🌻 und é",
];
const POSTS = 45;
const PAGE_SIZE = 20;

const installation = createEmbeddedInstallation();
let service: ServiceProcess;

beforeAll(async () => {
  service = await installation.start();
});

afterAll(installation.dispose);

describe.each([
  ["@apollo/client", createApolloCaller],
  ["@urql/core", createUrqlCaller],
  ["graphql-request", createGraphQLRequestCaller],
])("%s", (name, create) => {
  test.each(["POST", "GET"] as const)(
    "records, asks and walks a history, with queries by %s",
    async (queriesBy) => {
      const { caller, methods } = callerOf(create, { url: service.url, queriesBy });
      const userId = `${name} by ${queriesBy}`;
      const seen = viewsOf(SPECIAL_IDS.concat(Array.from({ length: POSTS }, (_, index) => `post-${index}`)));

      const { accepted, receivedAt, flushAfterMs } = await caller.record({ userId, impressions: seen });
      expect({ accepted, flushAfterMs }).toEqual({ accepted: seen.length, flushAfterMs: 0 });
      expect(new Date(receivedAt).toISOString()).toBe(receivedAt);
      const candidates = ["new", ...SPECIAL_IDS, "post-44", "8"];
      await expect
        .poll(() => caller.unseenPosts(userId, candidates), { timeout: 60_000 })
        .toEqual(["new", "8"]);
      const history = await caller.history(userId, PAGE_SIZE);
      expect(history.map(({ post, lastViewedAt, views }) => [post.id, lastViewedAt, views])).toEqual(
        seen.map(({ postId, viewedAt }) => [postId, viewedAt, 1]),
      );
      expect(new Set(methods)).toEqual(new Set(["POST", queriesBy]));
    },
  );

  test("a wrong request is an error with its code and what to change", async () => {
    const { caller } = callerOf(create, { url: service.url, queriesBy: "POST" });
    const explanation = await refusal(caller, caller.history("maria", 501));
    expect(explanation).toEqual({
      code: "BAD_USER_INPUT",
      message: "first must be from 1 to 500, not 501. Ask for more pages with after.",
      retryAfterMs: undefined,
      status: 400,
      retryAfter: null,
    });
  });

  test("a service that cannot answer now is an error that says when to come back", async () => {
    const api = await startApi({
      override: ({ store, recorder }) => ({
        store: { ...store, seenAmong: () => Promise.reject(new StoreUnavailableError("away")) },
        recorder: { ...recorder, record: () => Promise.reject(new QueueUnavailableError("away")) },
      }),
    });
    onTestFinished(api.stop);
    const { caller } = callerOf(create, { url: api.url, queriesBy: "POST" });
    const later = {
      status: 503,
      retryAfterMs: expect.any(Number),
      retryAfter: expect.stringMatching(/^[1-3]$/),
    };

    const read = await refusal(caller, caller.unseenPosts("maria", ["post-1"]));
    expect(read).toMatchObject({ code: "STORE_UNAVAILABLE", ...later });
    const written = await refusal(
      caller,
      caller.record({ userId: "maria", impressions: viewsOf(["post-1"]) }),
    );
    expect(written).toMatchObject({ code: "QUEUE_UNAVAILABLE", ...later });
  });
});

/** Views of these posts, newest first, a millisecond apart. */
function viewsOf(postIds: readonly string[]) {
  const nowMs = Date.now();
  return postIds.map((postId, index) => ({ postId, viewedAt: new Date(nowMs - index).toISOString() }));
}

/** A client, and by which HTTP methods it asked. */
function callerOf(
  create: (options: CallerOptions) => Caller,
  { url, queriesBy }: Pick<CallerOptions, "url" | "queriesBy">,
): { readonly caller: Caller; readonly methods: readonly string[] } {
  const methods: string[] = [];
  const caller = create({
    url: `${url}/graphql`,
    queriesBy,
    async fetch(input, init) {
      methods.push(init?.method ?? "GET");
      return fetch(input, init);
    },
  });
  return { caller, methods };
}

async function refusal(caller: Caller, request: Promise<unknown>) {
  return request.then(
    (answer) => expect.fail(`answered with ${JSON.stringify(answer)}`),
    (error: unknown) => caller.explain(error),
  );
}
