import type { FormattedExecutionResult, GraphQLFormattedError } from "graphql";
import { headOf, mostSevereOf } from "./graphql-errors.ts";
import { ANSWER_BYTES_MAX, ERRORS_MAX } from "./limits.ts";

/**
 * The answer as it may be sent, compiled or interpreted: no more than ERRORS_MAX errors, and no more than ANSWER_BYTES_MAX. What
 * candidates add to an answer is in its price already; how long the ids of a page are is known only now.
 */
export function boundAnswer(result: FormattedExecutionResult): FormattedExecutionResult {
  return leftOf(result.data, ANSWER_BYTES_MAX) < 0 ? TOO_LARGE : boundErrors(result);
}

const TOO_LARGE: FormattedExecutionResult = {
  errors: [
    {
      message: `The answer is larger than ${ANSWER_BYTES_MAX} bytes. Ask for smaller pages (first), fewer ids or candidates, or fewer fields, in several requests.`,
      extensions: { code: "QUERY_TOO_COMPLEX" },
    },
  ],
  data: null,
};

/**
 * What is left of so many bytes beside this value as JSON: negative where it does not fit. It stops where nothing is left, which is
 * far cheaper than to write 20 MB of JSON and then to measure it. Quotes and commas count, characters that JSON escapes do not.
 */
function leftOf(value: unknown, bytes: number): number {
  if (typeof value === "string") return bytes - Buffer.byteLength(value) - 3;
  if (typeof value !== "object" || value === null) return bytes - 5;
  let left = bytes - 2;
  if (Array.isArray(value)) {
    for (const item of value) {
      left = leftOf(item, left);
      if (left < 0) break;
    }
    return left;
  }
  for (const name in value) {
    left = leftOf((value as Readonly<Record<string, unknown>>)[name], left - name.length - 4);
    if (left < 0) break;
  }
  return left;
}

/** One more error stands for those that are left out, with the code of the most severe of them. */
function boundErrors(result: FormattedExecutionResult): FormattedExecutionResult {
  const { errors } = result;
  if (errors === undefined || errors.length <= ERRORS_MAX) return result;
  return { ...result, errors: [...errors.slice(0, ERRORS_MAX), summaryOf(errors.slice(ERRORS_MAX))] };
}

function summaryOf(leftOut: readonly GraphQLFormattedError[]): GraphQLFormattedError {
  const retryAfterMs = Math.max(...leftOut.map((error) => headOf(error, false).retryAfterMs));
  return {
    message: `Errors that are left out: ${leftOut.length}. Ask for less in one request to see each.`,
    extensions: { code: mostSevereOf(leftOut), ...(retryAfterMs > 0 ? { retryAfterMs } : {}) },
  };
}
