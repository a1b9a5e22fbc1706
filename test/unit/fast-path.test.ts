import { HeaderMap } from "@apollo/server";
import { beforeAll, describe, expect, test } from "vitest";
import { ANYBODY, type Scope } from "../../src/domain/caller.ts";
import { createContextFactory, type ResolverDependencies } from "../../src/resolvers/context.ts";
import { newRequestOutcome } from "../../src/resolvers/request-outcome.ts";
import { buildGraphQLSchema } from "../../src/resolvers/schema.ts";
import { type GraphQLServer, startApollo } from "../../src/server/apollo.ts";
import type { HttpRequest } from "../../src/server/fast-path.ts";
import { GOOD_ANSWERS_TO_COMPILE } from "../../src/server/limits.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

/** Which requests go past Apollo Server; that their answers are the same is test/e2e/fast-path.test.ts. */

const start = (jit: boolean) =>
  startApollo({
    schema: buildGraphQLSchema(),
    introspection: true,
    limits: { costMax: 1_000, depthMax: 5 },
    jit,
    logger: createLogger("silent"),
  });
const newContext = createContextFactory({
  clock: { nowMs: () => 0 },
  retentionMs: 0,
  store: { seenPosts: async () => ({ rows: [], boundMs: 0, next: null }) },
} as unknown as ResolverDependencies);
const contextOf = (outcome = newRequestOutcome(""), caller = ANYBODY) =>
  newContext({ caller, address: () => null }, undefined, outcome);

const query = 'query Named($first: Int!) { seenPosts(userId: "u", first: $first) { nodes { views } } }';
const sent = (body: object = {}, headers: HttpRequest["headers"] = {}): HttpRequest => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body: { query, variables: { first: 1 }, ...body },
});

/** Asks Apollo Server, as often as it takes to compile. */
async function ask({ apollo }: GraphQLServer, { method, body } = sent(), caller = ANYBODY): Promise<void> {
  for (let answers = 0; answers < GOOD_ANSWERS_TO_COMPILE; answers++) {
    const headers = new HeaderMap([["content-type", "application/json"]]);
    await apollo.executeHTTPGraphQLRequest({
      httpGraphQLRequest: { method, headers, search: "", body },
      context: async () => contextOf(newRequestOutcome(""), caller),
    });
  }
}

describe("past Apollo Server", () => {
  let server: GraphQLServer;
  beforeAll(async () => {
    server = await start(true);
    expect(server.fastPath(sent(), contextOf())).toBeNull();
    await ask(server);
  });

  test.each<[string, HttpRequest]>([
    ["as it is sent all day", sent()],
    ["by fetch", sent({}, { accept: "*/*" })],
    [
      "with its name, and a charset",
      sent({ operationName: "Named" }, { "content-type": "application/json; charset=utf-8" }),
    ],
    ["of a client that sends nulls", sent({ operationName: null, extensions: null })],
  ])("goes what is compiled: %s", async (_name, request) => {
    const outcome = newRequestOutcome("");
    const answer = await server.fastPath(request, contextOf(outcome));
    expect(answer?.body).toEqual({ kind: "complete", string: '{"data":{"seenPosts":{"nodes":[]}}}\n' });
    expect(outcome).toMatchObject({ operation: "Named", code: null });
  });

  test.each<[string, HttpRequest]>([
    ["another method", { ...sent(), method: "GET" }],
    ["a type that a form sends", sent({}, { "content-type": "text/plain" })],
    ["no type", { ...sent(), headers: {} }],
    ["a choice of types for the answer", sent({}, { accept: "application/json, text/html" })],
    ["another type of answer", sent({}, { accept: "application/graphql-response+json" })],
    ["a hash", sent({ extensions: { persistedQuery: { version: 1, sha256Hash: "" } } })],
    ["a list of requests", { ...sent(), body: [sent().body] }],
    ["no body", { ...sent(), body: undefined }],
    ["a text that was not seen", sent({ query: `${query} ` })],
    ["another operation", sent({ operationName: "Other" })],
    ["variables that do not fit", sent({ variables: { first: "1" } })],
    ["no variables", sent({ variables: null })],
    ["variables as a text", sent({ variables: '{"first":1}' })],
    ["a price over the limit", sent({ variables: { first: 500 } })],
  ])("does not go %s", (_name, request) => {
    expect(server.fastPath(request, contextOf())).toBeNull();
  });
});

test("a query that is forbidden or gives errors is not compiled", async () => {
  const server = await start(true);
  const stranger = { ...ANYBODY, scopes: new Set<Scope>() };
  for (let time = 0; time < 3; time++) {
    await ask(server, sent(), stranger);
    await ask(server, sent({ variables: { first: 0 } }));
    expect(server.fastPath(sent(), contextOf())).toBeNull();
  }
  await ask(server);
  expect(server.fastPath(sent(), contextOf())).not.toBeNull();
});

test("nothing goes past Apollo Server where nothing is compiled", async () => {
  const server = await start(false);
  await ask(server);
  expect(server.fastPath(sent(), contextOf())).toBeNull();
});
