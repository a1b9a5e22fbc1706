import { type ApolloServerPlugin, HeaderMap } from "@apollo/server";
import { GraphQLError, type GraphQLFormattedError, type GraphQLSchema } from "graphql";
import type { RequestContext } from "../resolvers/context.ts";
import { createCompiledQueries } from "./compiled-queries.ts";

/** The error as the caller sees it, of the error as Apollo Server would format it. */
export type FormatError = (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError;

/** Told of the errors that a request ran into. */
export type ReportErrors = (errors: readonly unknown[], context: RequestContext) => void;

/**
 * Runs operations that keep coming by their compiled form, everything else by Apollo Server's own execution
 * (graphql-js). What a request is answered must not depend on which of the two ran it.
 */
export function compiledExecution(
  schema: GraphQLSchema,
  formatError: FormatError,
  report: ReportErrors,
): ApolloServerPlugin<RequestContext> {
  const compiled = createCompiledQueries(schema);
  const listener = {
    async responseForOperation({ document, operation, request, contextValue }) {
      // Missing where the request names none, or one that is not there, whatever the type says.
      if (!operation) return null;
      const query = compiled.find(document, operation);
      // graphql-js has the standard words for variables that don't fit.
      const variables = query?.prepare(request.variables ?? {}) ?? null;
      if (query === null || variables === null) return null;
      const { data, errors } = await query.run(contextValue, variables);
      if (errors !== undefined) report(errors.map(asWhole), contextValue);
      return {
        http: { headers: new HeaderMap() },
        body: {
          kind: "single",
          singleResult: {
            ...(errors === undefined ? {} : { errors: errors.map((error) => format(error, formatError)) }),
            data: data ?? null,
          },
        },
      };
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

function format(error: GraphQLError, formatError: FormatError): GraphQLFormattedError {
  const { message, locations, path } = error;
  return formatError(
    {
      message,
      ...(locations === undefined ? {} : { locations }),
      ...(path === undefined ? {} : { path }),
    },
    asWhole(error),
  );
}
