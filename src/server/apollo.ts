import { ApolloServer, type ApolloServerPlugin } from "@apollo/server";
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
import { checkPrice, createPricer, type QueryLimits } from "../resolvers/query-cost.ts";
import type { Logger } from "../telemetry/logger.ts";
import { boundAnswer } from "./answer-bounds.ts";
import { compiledExecution, createAnswerCompiled } from "./compiled-execution.ts";
import { createCompiledQueries } from "./compiled-queries.ts";
import { createDocumentStore, type DocumentStore } from "./document-store.ts";
import { type CheckOperation, createFastPath, type FastPath } from "./fast-path.ts";
import { concludeAnswer, createReport, forgetPlaces, type ReportErrors, toPublic } from "./graphql-errors.ts";
import { VALIDATION_ERRORS_MAX, VARIABLE_ERRORS_MAX } from "./limits.ts";

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
  const { schema, limits } = options;
  const report = createReport(options.logger);
  const documents = createDocumentStore();
  const compiled = createCompiledQueries(schema);
  const answerCompiled = createAnswerCompiled(report);
  const priceOf = createPricer(schema);
  const check: CheckOperation = (document, operation, variables) =>
    checkPrice(priceOf(document, operation, variables), limits);
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
      requestRules(check, report),
      ...(options.jit ? [compiledExecution(compiled, answerCompiled)] : []),
      // Each costs time on every request, and this service uses none of them.
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      ApolloServerPluginSchemaReportingDisabled(),
      ApolloServerPluginInlineTraceDisabled(),
    ],
  });
  await apollo.start();
  return {
    apollo,
    documents,
    fastPath: createFastPath({ documents, compiled, check, answerCompiled }),
  };
}

/** What holds for every operation: its price is within the budget; its errors are bounded, and choose the HTTP status. */
function requestRules(check: CheckOperation, report: ReportErrors): ApolloServerPlugin<RequestContext> {
  const listener = {
    async validationDidStart({ document, source }) {
      forgetPlaces(document, source);
    },
    async didResolveOperation({ document, operation, request, contextValue }) {
      if (!operation) return;
      contextValue.outcome.operation = operation.name?.value ?? null;
      check(document, operation, request.variables ?? {});
    },
    async didEncounterErrors({ errors, contextValue }) {
      report(errors, contextValue);
    },
    async willSendResponse({ response, contextValue }) {
      const { http, body } = response;
      if (body.kind !== "single") return;
      body.singleResult = boundAnswer(body.singleResult);
      const { status, retryAfterS } = concludeAnswer(body.singleResult, contextValue.outcome);
      if (status > 0) http.status = Math.max(http.status ?? 0, status);
      if (retryAfterS > 0) http.headers.set("retry-after", String(retryAfterS));
    },
  } satisfies Awaited<ReturnType<NonNullable<ApolloServerPlugin<RequestContext>["requestDidStart"]>>>;
  return {
    requestDidStart: async () => listener,
    async unexpectedErrorProcessingRequest({ requestContext: { contextValue }, error }) {
      report([error], contextValue);
    },
  };
}
