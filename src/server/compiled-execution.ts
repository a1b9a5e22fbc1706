import { type ApolloServerPlugin, HeaderMap } from "@apollo/server";
import type { FormattedExecutionResult } from "graphql";
import type { RequestContext } from "../resolvers/context.ts";
import type { CompiledOperation } from "./compiled-operation.ts";
import type { CompiledQueries } from "./compiled-queries.ts";
import { runCompiled } from "./compiled-run.ts";
import type { Variables } from "./compiled-variables.ts";
import { type ReportErrors, toPublic } from "./graphql-errors.ts";

/** Runs a compiled operation and says what to answer: its errors are reported, and as the caller sees them. */
export type AnswerCompiled = (
  operation: CompiledOperation,
  context: RequestContext,
  /** As the operation's `coerce` returned them. */
  variables: Variables,
) => Promise<FormattedExecutionResult>;

export function createAnswerCompiled(report: ReportErrors): AnswerCompiled {
  return async (operation, context, variables) => {
    const { data = null, errors } = await runCompiled(operation, context, variables);
    if (errors === undefined) return { data };
    report(errors, context);
    return { errors: errors.map((error) => toPublic(error.toJSON(), error)), data };
  };
}

/**
 * Runs operations that keep coming by their compiled form, everything else by Apollo Server's own execution
 * (graphql-js). What a request is answered must not depend on which of the two ran it.
 */
export function compiledExecution(
  compiled: CompiledQueries,
  answer: AnswerCompiled,
): ApolloServerPlugin<RequestContext> {
  const listener = {
    async responseForOperation({ operation, request, contextValue }) {
      // Missing where the request names none, or one that is not there, whatever the type says.
      const known = operation ? compiled.find(operation) : null;
      // graphql-js has the standard words for variables that don't fit.
      const variables = known?.coerce(request.variables ?? {}) ?? null;
      if (known === null || variables === null) return null;
      const singleResult = await answer(known, contextValue, variables);
      return { http: { headers: new HeaderMap() }, body: { kind: "single", singleResult } };
    },
    async willSendResponse({ document, operation, response: { body } }) {
      if (!document || !operation || body.kind !== "single" || body.singleResult.errors !== undefined) return;
      compiled.answeredWell(document, operation);
    },
  } satisfies Awaited<ReturnType<NonNullable<ApolloServerPlugin<RequestContext>["requestDidStart"]>>>;
  return { requestDidStart: async () => listener };
}
