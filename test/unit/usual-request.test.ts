import { HeaderMap } from "@apollo/server";
import { beforeAll, describe, expect, test } from "vitest";
import { ANYBODY } from "../../src/domain/caller.ts";
import { createContextFactory, type ResolverDependencies } from "../../src/resolvers/context.ts";
import { newRequestOutcome } from "../../src/resolvers/request-outcome.ts";
import { buildGraphQLSchema } from "../../src/resolvers/schema.ts";
import { type GraphQLServer, startApollo } from "../../src/server/apollo.ts";
import { SIGHTINGS_TO_COMPILE } from "../../src/server/limits.ts";
import type { HttpRequest } from "../../src/server/usual-request.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

/** Which requests go past Apollo Server; that their answers are the same is test/e2e/usual-request.test.ts. */

const start = (jit: boolean) =>
  startApollo({
    schema: buildGraphQLSchema(),
    introspection: true,
    limits: { costMax: 1_000, depthMax: 5 },
    jit,
    logger: createLogger("silent"),
  });
const newContext = createContextFactory({} as ResolverDependencies);
const contextOf = (outcome = newRequestOutcome("")) =>
  newContext({ caller: ANYBODY, address: () => null }, undefined, outcome);

const query =
  'query Named($first: Int!) { __typename seenPosts(userId: "u", first: $first) @include(if: false) { nodes { views } } }';
const sent = (body: object = {}, headers: HttpRequest["headers"] = {}): HttpRequest => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body: { query, variables: { first: 1 }, ...body },
});

async function compile({ apollo }: GraphQLServer): Promise<void> {
  for (let sighting = 0; sighting < SIGHTINGS_TO_COMPILE; sighting++) {
    const headers = new HeaderMap([["content-type", "application/json"]]);
    const { method, body } = sent();
    await apollo.executeHTTPGraphQLRequest({
      httpGraphQLRequest: { method, headers, search: "", body },
      context: async () => contextOf(),
    });
  }
}

describe("past Apollo Server", () => {
  let server: GraphQLServer;
  beforeAll(async () => {
    server = await start(true);
    expect(server.answerUsual(sent(), contextOf())).toBeNull();
    await compile(server);
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
    const answer = await server.answerUsual(request, contextOf(outcome));
    expect(answer?.body).toEqual({ kind: "complete", string: '{"data":{"__typename":"Query"}}\n' });
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
    expect(server.answerUsual(request, contextOf())).toBeNull();
  });
});

test("nothing goes past Apollo Server where nothing is compiled", async () => {
  const server = await start(false);
  await compile(server);
  expect(server.answerUsual(sent(), contextOf())).toBeNull();
});
