import { ApolloServer, type ApolloServerPlugin } from "@apollo/server";
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from "@apollo/server/plugin/disabled";
import type { GraphQLError, GraphQLFormattedError, GraphQLSchema } from "graphql";
import { ERROR_CATALOGUE, type ErrorCode } from "../errors.ts";
import type { RequestContext } from "../resolvers/context.ts";
import { publicErrorOf, publicExtensionsOf } from "../resolvers/error-mapping.ts";
import { OneMutationRule } from "../resolvers/one-mutation-rule.ts";
import { checkPrice, createPricer, type QueryLimits } from "../resolvers/query-cost.ts";
import type { Logger } from "../telemetry/logger.ts";
import { compiledExecution, type ReportErrors } from "./compiled-execution.ts";
import { createDocumentStore } from "./document-store.ts";
import { VARIABLE_ERRORS_MAX } from "./limits.ts";

/** Apollo Server with what this service uses of it, started. */
export async function startApollo(options: {
  readonly schema: GraphQLSchema;
  readonly introspection: boolean;
  readonly limits: QueryLimits;
  /** Whether operations that keep coming are compiled. */
  readonly jit: boolean;
  readonly logger: Logger;
}): Promise<ApolloServer<RequestContext>> {
  const { schema } = options;
  const report = createReport(options.logger);
  const apollo = new ApolloServer<RequestContext>({
    schema,
    introspection: options.introspection,
    // Where the schema is not to be read, "did you mean" must not spell it out either.
    hideSchemaDetailsFromClientErrors: !options.introspection,
    includeStacktraceInErrorResponses: false,
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    stopOnTerminationSignals: false,
    documentStore: createDocumentStore(),
    executionOptions: { maxCoercionErrors: VARIABLE_ERRORS_MAX },
    validationRules: [OneMutationRule],
    formatError: toPublic,
    logger: options.logger,
    plugins: [
      requestRules(schema, options.limits, report),
      ...(options.jit ? [compiledExecution(schema, toPublic, report)] : []),
      // Each costs time on every request, and this service uses none of them.
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      ApolloServerPluginSchemaReportingDisabled(),
      ApolloServerPluginInlineTraceDisabled(),
    ],
  });
  await apollo.start();
  return apollo;
}

/** Logs what is our own fault, with everything that the caller is not told. */
function createReport(logger: Logger): ReportErrors {
  return (errors, { outcome: { requestId, operation } }) => {
    for (const error of errors) {
      if (publicErrorOf(error).code !== "INTERNAL_SERVER_ERROR") continue;
      const { path } = error as Partial<GraphQLError>;
      logger.error({ err: error, path, requestId, operation }, "a request failed unexpectedly");
    }
  };
}

/** The error as the caller sees it. */
function toPublic(formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError {
  const told = publicErrorOf(error);
  return {
    message: told.message,
    ...(formatted.locations === undefined ? {} : { locations: formatted.locations }),
    ...(formatted.path === undefined ? {} : { path: formatted.path }),
    extensions: publicExtensionsOf(told),
  };
}

/** What holds for every operation: its price is within the budget, and its errors choose the HTTP status. */
function requestRules(
  schema: GraphQLSchema,
  limits: QueryLimits,
  report: ReportErrors,
): ApolloServerPlugin<RequestContext> {
  const priceOf = createPricer(schema);
  const listener = {
    async didResolveOperation({ document, operation, request, contextValue }) {
      if (!operation) return;
      contextValue.outcome.operation = operation.name?.value ?? null;
      checkPrice(priceOf(document, operation, request.variables ?? {}), limits);
    },
    async didEncounterErrors({ errors, contextValue }) {
      report(errors, contextValue);
    },
    async willSendResponse({ response, contextValue }) {
      if (response.body.kind !== "single") return;
      const { errors, data } = response.body.singleResult;
      if (errors === undefined) return;
      contextValue.outcome.code = gravestOf(errors);
      const answer = errors.map((error) => httpOf(error, data !== undefined));
      // The gravest one decides: a caller that got part of an answer and a 503 asks again for all of it.
      const status = Math.max(response.http.status ?? 0, ...answer.map((http) => http.status));
      if (status > 0) response.http.status = status;
      const retryAfterMs = Math.max(...answer.map((http) => http.retryAfterMs));
      if (retryAfterMs > 0) response.http.headers.set("retry-after", String(Math.ceil(retryAfterMs / 1_000)));
    },
  } satisfies Awaited<ReturnType<NonNullable<ApolloServerPlugin<RequestContext>["requestDidStart"]>>>;
  return {
    requestDidStart: async () => listener,
    async unexpectedErrorProcessingRequest({ requestContext: { contextValue }, error }) {
      report([error], contextValue);
    },
  };
}

/** The code whose status is the highest. */
function gravestOf(errors: readonly GraphQLFormattedError[]): ErrorCode | null {
  const codes = errors.map(({ extensions }) => extensions?.code as ErrorCode);
  const statusOf = (code: ErrorCode) => ERROR_CATALOGUE[code].status;
  return codes.toSorted((a, b) => statusOf(b) - statusOf(a))[0] ?? null;
}

/** @param executed whether fields were resolved: one that fails unexpectedly leaves the status as it is. */
function httpOf(error: GraphQLFormattedError, executed: boolean): { status: number; retryAfterMs: number } {
  const code = error.extensions?.code as ErrorCode;
  const { status } = ERROR_CATALOGUE[code];
  const retryAfterMs = error.extensions?.retryAfterMs;
  return {
    status: executed && code === "INTERNAL_SERVER_ERROR" ? 0 : status,
    retryAfterMs: typeof retryAfterMs === "number" ? retryAfterMs : 0,
  };
}
