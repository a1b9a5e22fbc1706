import {
  type DocumentNode,
  type FormattedExecutionResult,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from "graphql";
import type { RequestContext } from "../resolvers/context.ts";
import { checkPrice, createPricer, type QueryLimits } from "../resolvers/query-cost.ts";
import type { RequestOutcome } from "../resolvers/request-outcome.ts";
import type { Logger } from "../telemetry/logger.ts";
import { boundAnswer } from "./answer-bounds.ts";
import type { CompiledOperation } from "./compiled-operation.ts";
import { createCompiledQueries } from "./compiled-queries.ts";
import { runCompiled } from "./compiled-run.ts";
import type { Variables } from "./compiled-variables.ts";
import {
  type AnswerHead,
  concludeAnswer,
  createReport,
  type ReportErrors,
  toPublic,
} from "./graphql-errors.ts";

/**
 * The steps of a GraphQL request, in this order. A request takes them on the fast path or in Apollo Server, and what a step
 * does is here once for both, so that an answer cannot depend on the way:
 *
 * | step       | fast path (fast-path.ts)          | Apollo Server (apollo.ts)                                     |
 * | ---------- | --------------------------------- | ------------------------------------------------------------- |
 * | parameters | of a plain POST of JSON           | of every POST and GET, with CSRF prevention, persisted queries |
 * | document   | by its text, from the store       | from the store, else parsed, validated and stored             |
 * | price      | `checkPrice`                      | `checkPrice`                                                  |
 * | variables  | `prepare`                         | `prepare`, else graphql-js                                    |
 * | execution  | `run`                             | `run`, else graphql-js                                        |
 * | errors     | `run`                             | `run`, else `report` and `toPublic`                           |
 * | answer     | `conclude`                        | `conclude`                                                    |
 *
 * The fast path looks at the price after the variables, since most operations that it leaves to Apollo Server are not
 * compiled. It leaves a request before anything has run, and then Apollo Server takes all of the steps.
 */
export interface RequestSteps {
  /** @throws where the operation costs too much. */
  checkPrice(document: DocumentNode, operation: OperationDefinitionNode, variables: Variables): void;
  /** The operation with its variables coerced; null where it is not compiled, or where a variable does not fit. */
  prepare(operation: OperationDefinitionNode, given: Variables): PreparedOperation | null;
  /** Resolves the fields. The errors are reported, and in the answer as the caller sees them. */
  run(prepared: PreparedOperation, context: RequestContext): Promise<FormattedExecutionResult>;
  readonly report: ReportErrors;
  /** The answer within its bounds, and what it asks of HTTP. */
  conclude(result: FormattedExecutionResult, outcome: RequestOutcome): Conclusion;
  /** Counts an answer without an error; operations that keep coming are compiled. */
  answeredWell(document: DocumentNode, operation: OperationDefinitionNode): void;
}

export interface PreparedOperation {
  readonly compiled: CompiledOperation;
  readonly variables: Variables;
}

export interface Conclusion extends AnswerHead {
  readonly result: FormattedExecutionResult;
}

export function createRequestSteps(options: {
  readonly schema: GraphQLSchema;
  readonly limits: QueryLimits;
  /** Whether operations that keep coming are compiled. */
  readonly jit: boolean;
  readonly logger: Logger;
}): RequestSteps {
  const { schema, limits, jit } = options;
  const priceOf = createPricer(schema);
  const queries = createCompiledQueries(schema);
  const report = createReport(options.logger);
  return {
    checkPrice: (document, operation, variables) =>
      checkPrice(priceOf(document, operation, variables), limits),
    prepare(operation, given) {
      const compiled = queries.find(operation);
      const variables = compiled === null ? null : compiled.coerce(given);
      return compiled === null || variables === null ? null : { compiled, variables };
    },
    async run({ compiled, variables }, context) {
      const { data = null, errors } = await runCompiled(compiled, context, variables);
      if (errors === undefined) return { data };
      report(errors, context);
      return { errors: errors.map((error) => toPublic(error.toJSON(), error)), data };
    },
    report,
    conclude(result, outcome) {
      const bounded = boundAnswer(result);
      const { status, retryAfterS } = concludeAnswer(bounded, outcome);
      return { result: bounded, status, retryAfterS };
    },
    answeredWell(document, operation) {
      if (jit) queries.answeredWell(document, operation);
    },
  };
}
