import { ApolloServer, type ApolloServerPlugin, HeaderMap } from "@apollo/server";
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from "@apollo/server/plugin/disabled";
import type { GraphQLSchema } from "graphql";
import type { RequestContext } from "../resolvers/context.ts";
import { OneMutationRule } from "../resolvers/one-mutation-rule.ts";
import type { QueryLimits } from "../resolvers/query-cost.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createDocumentStore, type DocumentStore } from "./document-store.ts";
import { createFastPath, type FastPath } from "./fast-path.ts";
import { forgetPlaces, toPublic } from "./graphql-errors.ts";
import { VALIDATION_ERRORS_MAX, VARIABLE_ERRORS_MAX } from "./limits.ts";
import { createRequestSteps, type RequestSteps } from "./request-steps.ts";

export interface GraphQLServer {
  readonly apollo: ApolloServer<RequestContext>;
  /** What Apollo Server parsed and validated. */
  readonly documents: DocumentStore;
  /** To be asked before Apollo Server. */
  readonly fastPath: FastPath;
}

/** Apollo Server with what this service uses of it, started, and the fast path past it. */
export async function startApollo(options: {
  readonly schema: GraphQLSchema;
  readonly introspection: boolean;
  readonly limits: QueryLimits;
  /** Whether operations that keep coming are compiled. */
  readonly jit: boolean;
  readonly logger: Logger;
}): Promise<GraphQLServer> {
  const { schema } = options;
  const documents = createDocumentStore();
  const steps = createRequestSteps(options);
  const apollo = new ApolloServer<RequestContext>({
    schema,
    introspection: options.introspection,
    // Where the schema is not to be read, "did you mean" must not spell it out either.
    hideSchemaDetailsFromClientErrors: !options.introspection,
    includeStacktraceInErrorResponses: false,
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    stopOnTerminationSignals: false,
    documentStore: documents,
    executionOptions: { maxCoercionErrors: VARIABLE_ERRORS_MAX },
    validationOptions: { maxErrors: VALIDATION_ERRORS_MAX },
    validationRules: [OneMutationRule],
    formatError: toPublic,
    logger: options.logger,
    plugins: [
      takeSteps(steps),
      // Each costs time on every request, and this service uses none of them.
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      ApolloServerPluginSchemaReportingDisabled(),
      ApolloServerPluginInlineTraceDisabled(),
    ],
  });
  await apollo.start();
  return { apollo, documents, fastPath: createFastPath(documents, steps) };
}

/** Makes Apollo Server take our steps (request-steps.ts) where it has hooks for them. */
function takeSteps(steps: RequestSteps): ApolloServerPlugin<RequestContext> {
  const listener = {
    async validationDidStart({ document, source }) {
      forgetPlaces(document, source);
    },
    async didResolveOperation({ document, operation, request, contextValue }) {
      if (!operation) return;
      contextValue.outcome.operation = operation.name?.value ?? null;
      steps.checkPrice(document, operation, request.variables ?? {});
    },
    async responseForOperation({ operation, request, contextValue }) {
      // Missing where the request names none, or one that is not there, whatever the type says.
      const prepared = operation ? steps.prepare(operation, request.variables ?? {}) : null;
      // graphql-js has the standard words for variables that don't fit.
      if (prepared === null) return null;
      const singleResult = await steps.run(prepared, contextValue);
      return { http: { headers: new HeaderMap() }, body: { kind: "single", singleResult } };
    },
    async didEncounterErrors({ errors, contextValue }) {
      steps.report(errors, contextValue);
    },
    async willSendResponse({ document, operation, response: { http, body }, contextValue }) {
      if (body.kind !== "single") return;
      const { result, status, retryAfterS } = steps.conclude(body.singleResult, contextValue.outcome);
      body.singleResult = result;
      if (document && operation && result.errors === undefined) steps.answeredWell(document, operation);
      if (status > 0) http.status = Math.max(http.status ?? 0, status);
      if (retryAfterS > 0) http.headers.set("retry-after", String(retryAfterS));
    },
  } satisfies Awaited<ReturnType<NonNullable<ApolloServerPlugin<RequestContext>["requestDidStart"]>>>;
  return {
    requestDidStart: async () => listener,
    async unexpectedErrorProcessingRequest({ requestContext: { contextValue }, error }) {
      steps.report([error], contextValue);
    },
  };
}
