import {
  type DocumentNode,
  type FormattedExecutionResult,
  type GraphQLError,
  type GraphQLFormattedError,
  Kind,
  visit,
} from "graphql";
import { ERROR_CATALOGUE, type ErrorCode } from "../errors.ts";
import type { RequestContext } from "../resolvers/context.ts";
import { publicErrorOf, publicExtensionsOf } from "../resolvers/error-mapping.ts";
import type { RequestOutcome } from "../resolvers/request-outcome.ts";
import type { Logger } from "../telemetry/logger.ts";
import { LOCATED_CHARACTERS_MAX, LOCATED_LINES_MAX } from "./limits.ts";

/** What becomes of the errors of an operation, compiled or interpreted: in the log, in the answer, and in its status. */

/** Told of the errors that a request ran into. */
export type ReportErrors = (errors: readonly unknown[], context: RequestContext) => void;

/** Logs what is our own fault, with everything that the answer leaves out. */
export function createReport(logger: Logger): ReportErrors {
  return (errors, { outcome: { requestId, operation } }) => {
    for (const error of errors) {
      if (publicErrorOf(error).code !== "INTERNAL_SERVER_ERROR") continue;
      const { path } = error as Partial<GraphQLError>;
      logger.error({ err: error, path, requestId, operation }, "a request failed unexpectedly");
    }
  };
}

/** The error as the caller sees it. */
export function toPublic(formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError {
  const publicError = publicErrorOf(error);
  return {
    message: publicError.message,
    ...(formatted.locations === undefined ? {} : { locations: formatted.locations }),
    ...(formatted.path === undefined ? {} : { path: formatted.path }),
    extensions: publicExtensionsOf(publicError),
  };
}

/** Takes a document that is parsed and not yet validated the places of its nodes where it is too long to look them up. */
export function forgetPlaces(document: DocumentNode, text: string): void {
  if (text.length <= LOCATED_CHARACTERS_MAX && lineCount(text) <= LOCATED_LINES_MAX) return;
  visit(document, {
    enter(node) {
      // The document keeps its own: its text is found by it.
      if (node.kind !== Kind.DOCUMENT) (node as { loc?: unknown }).loc = undefined;
    },
  });
}

function lineCount(text: string): number {
  return text.split(/\r\n|\n|\r/).length;
}

/** What the errors of an answer ask of HTTP. */
export interface AnswerHead {
  /** 0 where they leave it as it is. */
  readonly status: number;
  /** For the header `retry-after`; 0 for none. */
  readonly retryAfterS: number;
}

const UNTROUBLED: AnswerHead = { status: 0, retryAfterS: 0 };

/** The most severe error chooses the status: a caller that got part of an answer and a 503 asks again for all of it. */
export function concludeAnswer(
  { errors, data }: FormattedExecutionResult,
  outcome: RequestOutcome,
): AnswerHead {
  if (errors === undefined) return UNTROUBLED;
  outcome.code = mostSevereOf(errors);
  const heads = errors.map((error) => headOf(error, data !== undefined));
  return {
    status: Math.max(...heads.map(({ status }) => status)),
    retryAfterS: Math.ceil(Math.max(...heads.map(({ retryAfterMs }) => retryAfterMs)) / 1_000),
  };
}

/** The code whose status is the highest. */
export function mostSevereOf(errors: readonly GraphQLFormattedError[]): ErrorCode | null {
  const codes = errors.map(({ extensions }) => extensions?.code as ErrorCode);
  const statusOf = (code: ErrorCode) => ERROR_CATALOGUE[code].status;
  return codes.toSorted((a, b) => statusOf(b) - statusOf(a))[0] ?? null;
}

/** @param executed whether fields were resolved: one that fails unexpectedly leaves the status as it is. */
export function headOf(
  error: GraphQLFormattedError,
  executed: boolean,
): { status: number; retryAfterMs: number } {
  const code = error.extensions?.code as ErrorCode;
  const { status } = ERROR_CATALOGUE[code];
  const retryAfterMs = error.extensions?.retryAfterMs;
  return {
    status: executed && code === "INTERNAL_SERVER_ERROR" ? 0 : status,
    retryAfterMs: typeof retryAfterMs === "number" ? retryAfterMs : 0,
  };
}
