import { type ApolloServerPlugin, HeaderMap } from "@apollo/server";
import { type FormattedExecutionResult, GraphQLError, type GraphQLFormattedError } from "graphql";
import type { RequestContext } from "../resolvers/context.ts";
import type { CompiledOperation, CompiledQueries } from "./compiled-queries.ts";
import type { Variables } from "./compiled-variables.ts";
import { type ReportErrors, toPublic } from "./graphql-errors.ts";

/** Runs a compiled operation and says what to answer: its errors are reported, and as the caller sees them. */
export type RunCompiled = (
  query: CompiledOperation,
  context: RequestContext,
  /** As the operation's `prepare` returned them. */
  variables: Variables,
) => Promise<FormattedExecutionResult>;

export function createRunCompiled(report: ReportErrors): RunCompiled {
  return async (query, context, variables) => {
    const { data, errors } = await query.run(context, variables);
    if (errors === undefined) return { data: data ?? null };
    report(errors.map(asWhole), context);
    return { errors: errors.map(format), data: data ?? null };
  };
}

/**
 * Runs operations that keep coming by their compiled form, everything else by Apollo Server's own execution
 * (graphql-js). What a request is answered must not depend on which of the two ran it.
 */
export function compiledExecution(
  compiled: CompiledQueries,
  run: RunCompiled,
): ApolloServerPlugin<RequestContext> {
  const listener = {
    async responseForOperation({ document, operation, request, contextValue }) {
      // Missing where the request names none, or one that is not there, whatever the type says.
      if (!operation) return null;
      const query = compiled.find(document, operation);
      // graphql-js has the standard words for variables that don't fit.
      const variables = query?.prepare(request.variables ?? {}) ?? null;
      if (query === null || variables === null) return null;
      const singleResult = await run(query, contextValue, variables);
      return { http: { headers: new HeaderMap() }, body: { kind: "single", singleResult } };
    },
  } satisfies Awaited<ReturnType<NonNullable<ApolloServerPlugin<RequestContext>["requestDidStart"]>>>;
  return { requestDidStart: async () => listener };
}

/** graphql-jit's errors are GraphQLErrors in name, without the extensions that every one has. */
function asWhole({ message, path, originalError, extensions }: GraphQLError): GraphQLError {
  return new GraphQLError(message, {
    ...(path === undefined ? {} : { path }),
    ...(originalError === undefined ? {} : { originalError }),
    extensions: extensions ?? {},
  });
}

function format(error: GraphQLError): GraphQLFormattedError {
  const { message, locations, path } = error;
  return toPublic(
    {
      message,
      ...(locations === undefined ? {} : { locations }),
      ...(path === undefined ? {} : { path }),
    },
    asWhole(error),
  );
}
