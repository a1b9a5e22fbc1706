import { type ApolloServerPlugin, HeaderMap } from "@apollo/server";
import { GraphQLError, type GraphQLFormattedError, type GraphQLSchema } from "graphql";
import type { RequestContext } from "../resolvers/context.ts";
import { createCompiledQueries } from "./compiled-queries.ts";

/** The error as the caller sees it, of the error as Apollo Server would format it. */
export type FormatError = (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError;

/**
 * Runs operations that keep coming by their compiled form, everything else by Apollo Server's own execution
 * (graphql-js). What a request is answered must not depend on which of the two ran it.
 */
export function compiledExecution(
  schema: GraphQLSchema,
  formatError: FormatError,
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
function format(error: GraphQLError, formatError: FormatError): GraphQLFormattedError {
  const { message, locations, path, originalError } = error;
  const whole = new GraphQLError(message, {
    ...(path === undefined ? {} : { path }),
    ...(originalError === undefined ? {} : { originalError }),
    extensions: error.extensions ?? {},
  });
  return formatError(
    {
      message,
      ...(locations === undefined ? {} : { locations }),
      ...(path === undefined ? {} : { path }),
    },
    whole,
  );
}
