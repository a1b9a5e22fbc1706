import { type IncomingHttpHeaders, METHODS } from "node:http";
import { HeaderMap, type HTTPGraphQLRequest } from "@apollo/server";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Authenticator } from "../access/authenticator.ts";
import { ANYBODY, type Caller } from "../domain/caller.ts";
import { badUserInput } from "../resolvers/arguments.ts";
import type { ContextFactory } from "../resolvers/context.ts";
import type { RequestBudget } from "../resolvers/request-budget.ts";
import { newRequestOutcome } from "../resolvers/request-outcome.ts";
import type { GraphQLServer } from "./apollo.ts";
import { boundedHeaders } from "./header-limits.ts";
import { sendFailure } from "./http-errors.ts";
import { addressOf, requestLimit } from "./rate-limit.ts";
import { createDocumentResolver } from "./request-document.ts";
import type { TrustedDocuments } from "./trusted-documents.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Null until the request is authenticated. */
    caller: Caller | null;
  }
}

/** Everything that Node takes for a request, so that a wrong method is a 405 and not a 404. (A route for GET is one for HEAD.) */
const ROUTED_METHODS = METHODS.filter((method) => method !== "HEAD" && method !== "CONNECT");

export interface GraphQLRouteOptions {
  readonly newContext: ContextFactory;
  readonly startBudget: (headers: IncomingHttpHeaders) => RequestBudget;
  readonly trusted: TrustedDocuments;
  /** Null: no token is asked for. */
  readonly authenticator: Authenticator | null;
  readonly observe: (request: FastifyRequest, reply: FastifyReply) => void;
  /** From one address; 0 for no limit. */
  readonly requestsPerMinuteMax: number;
  readonly random: () => number;
}

/**
 * `/graphql`. A route of our own around Apollo Server's `executeHTTPGraphQLRequest`, which keeps its HTTP rules (GET,
 * CSRF prevention, content types, statuses). The published Fastify integration builds a URL from the Host header for
 * every request, so that a malformed header is a 500, and leaves no place to look at a document before it is parsed.
 */
export async function registerGraphQL(
  fastify: FastifyInstance,
  graphql: GraphQLServer,
  options: GraphQLRouteOptions,
): Promise<void> {
  const { authenticator, requestsPerMinuteMax, random } = options;
  fastify.decorateRequest("caller", null);
  for (const method of ROUTED_METHODS)
    if (!fastify.supportedMethods.includes(method)) fastify.addHttpMethod(method, { hasBody: false });
  fastify.route({
    method: ROUTED_METHODS,
    url: "/graphql",
    // The rate limit is one more hook behind this one: it doesn't count admins that are known already, and what is too
    // much is refused before its token is verified.
    ...(await requestLimit(fastify, requestsPerMinuteMax, random)),
    onRequest(request, reply, done) {
      options.observe(request, reply);
      // Answers are about people, and made for one caller.
      reply.header("cache-control", "no-store");
      request.caller = authenticator === null ? ANYBODY : authenticator.known(request.headers.authorization);
      if (request.method === "GET" || request.method === "POST") {
        done();
        return;
      }
      const error = badUserInput("Send GraphQL requests with GET (queries) or POST.");
      reply.header("allow", "GET, POST");
      sendFailure(reply, { status: 405, error });
    },
    // The caller is authenticated before the body is read.
    preParsing(request, _reply, payload, done) {
      if (request.caller !== null || authenticator === null) {
        done(null, payload);
        return;
      }
      authenticator.authenticate(request.headers.authorization).then((caller) => {
        request.caller = caller;
        done(null, payload);
      }, done);
    },
    handler: createHandler(graphql, options),
  });
}

/** Answers what has passed the hooks: on the fast path, or by Apollo Server. */
function createHandler(
  { apollo, documents, fastPath }: GraphQLServer,
  { newContext, startBudget, trusted }: GraphQLRouteOptions,
) {
  const resolveDocument = createDocumentResolver(trusted, documents);
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const { method, headers } = request;
    const search = searchOf(request.url);
    // The endpoint was opened in a browser.
    if (method === "GET" && search === "" && headers.accept?.includes("text/html"))
      return reply.redirect("./", 303);
    const { caller } = request;
    if (caller === null) throw new Error("the request was not authenticated");
    const parts = resolveDocument(method, { search, body: request.body });
    const budget = startBudget(headers);
    // Fires when the client goes away, and after the answer. (Fastify's request.signal listens to the request, which is
    // over as soon as its body was read.)
    reply.raw.on("close", budget.end);
    const outcome = request.outcome ?? newRequestOutcome(request.id);
    const context = newContext({ caller, address: () => addressOf(request) }, budget.signal, outcome);
    const response = await (fastPath({ method, headers, body: parts.body }, context) ??
      apollo.executeHTTPGraphQLRequest({
        httpGraphQLRequest: { method, headers: headerMap(request), ...parts },
        context: async () => context,
      }));
    outcome.ranOutOfTime = budget.ranOut();
    // Where a field failed, others may still be reading for an answer that will not hold them.
    budget.end();
    // What Apollo Server refuses before it looks at the operation: a wrong method, a body that is none, a foreign page.
    const status = response.status ?? 200;
    if (status >= 400) outcome.code ??= status < 500 ? "BAD_USER_INPUT" : "INTERNAL_SERVER_ERROR";
    for (const [name, value] of response.headers) reply.header(name, value);
    reply.code(status);
    if (response.body.kind !== "complete") throw new Error("incremental delivery is off, but was chosen");
    return reply.send(response.body.string);
  };
}

function searchOf(url: string): string {
  const start = url.indexOf("?");
  return start < 0 ? "" : url.slice(start);
}

/** What Apollo Server may look at. */
function headerMap({ headers }: FastifyRequest): HTTPGraphQLRequest["headers"] {
  const map = new HeaderMap();
  for (const [name, value] of boundedHeaders(headers)) map.set(name, value);
  return map;
}
