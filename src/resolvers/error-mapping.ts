import { GraphQLError } from "graphql";
import {
  ApiError,
  ERROR_CATALOGUE,
  type ErrorCode,
  type QueryPrice,
  QueryTooComplexError,
} from "../errors.ts";
import {
  ClockUncertainError,
  OverloadedError,
  RateLimitedError,
  SubmissionTooLargeError,
} from "../ingest/errors.ts";
import {
  DeadLettersFullError,
  HistoryTooLongError,
  QueueFullError,
  QueueUnavailableError,
  StoreUnavailableError,
} from "../ports/errors.ts";
import { RequestTimeoutError } from "./request-budget.ts";

/** Callers are asked to come back after this long, give or take half, so that they don't come back together. */
const RETRY_AFTER_MS = 2_000;
/** A clock that jumped is believed after a minute (domain/guarded-clock.ts). */
const CLOCK_RETRY_FACTOR = 5;
/** Messages of graphql-js repeat what was sent; this much of it is enough. */
const MESSAGE_CHARACTERS_MAX = 500;

/** An error as the caller sees it. */
export interface PublicError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryAfterMs?: number;
  readonly price?: QueryPrice;
}

/** An error's `extensions` as the caller sees them: nothing but what docs/errors.md promises. */
export function publicExtensionsOf({ code, retryAfterMs, price }: PublicError): Record<string, unknown> {
  return { code, ...(retryAfterMs === undefined ? {} : { retryAfterMs }), ...price };
}

/**
 * The one place where errors of every layer become codes of the catalogue: those of our own, of the ports, of
 * graphql-js and of Apollo Server. What it doesn't know is INTERNAL_SERVER_ERROR with a fixed sentence, so that no
 * stack, query text or driver's words ever leave the process.
 */
export function publicErrorOf(error: unknown, random: () => number = Math.random): PublicError {
  const cause = innermost(error);
  const retryAfterMs = Math.round(RETRY_AFTER_MS * (0.5 + random()));
  if (cause instanceof OverloadedError || cause instanceof QueueFullError) {
    return {
      code: "OVERLOADED",
      message:
        "More is waiting than the service takes. Nothing was enqueued; send the same list again after retryAfterMs.",
      retryAfterMs,
    };
  }
  if (cause instanceof ClockUncertainError) {
    return {
      code: "OVERLOADED",
      message:
        "The clock of the service's host has jumped, or was never set, so nothing can be dated. Nothing was enqueued; send the same again after retryAfterMs.",
      retryAfterMs: CLOCK_RETRY_FACTOR * retryAfterMs,
    };
  }
  if (cause instanceof QueueUnavailableError) {
    return {
      code: "QUEUE_UNAVAILABLE",
      message:
        "The queue did not confirm. Send the same again after retryAfterMs; doing it twice does no harm.",
      retryAfterMs,
    };
  }
  if (cause instanceof StoreUnavailableError) {
    return {
      code: "STORE_UNAVAILABLE",
      message: "The store cannot be reached right now. Ask again after retryAfterMs.",
      retryAfterMs,
    };
  }
  if (cause instanceof RequestTimeoutError) {
    return {
      code: "STORE_UNAVAILABLE",
      message: `The store did not answer within ${cause.timeoutMs} ms. Allow more time, ask for less, or ask again after retryAfterMs.`,
      retryAfterMs,
    };
  }
  if (cause instanceof RateLimitedError) {
    return {
      code: "RATE_LIMITED",
      message: "Too many impressions. Nothing was enqueued; send the same list again after retryAfterMs.",
      retryAfterMs: cause.waitMs + Math.round(RETRY_AFTER_MS * random()),
    };
  }
  if (cause instanceof DeadLettersFullError) {
    return {
      code: "OVERLOADED",
      message: "The dead letters have reached their byte limit. Discard or replay some, then try again.",
      retryAfterMs,
    };
  }
  if (cause instanceof HistoryTooLongError) {
    return {
      code: "QUERY_TOO_COMPLEX",
      message:
        "A user of this question has more stored submissions than one question reads. Ask with a later `since`.",
    };
  }
  if (cause instanceof SubmissionTooLargeError) {
    return {
      code: "BATCH_TOO_LARGE",
      message: "The list is too large for one message. Send fewer impressions at a time.",
    };
  }
  return ofGraphQL(cause, error);
}

/** Our own ApiErrors, graphql-js' and Apollo Server's. */
function ofGraphQL(cause: unknown, error: unknown): PublicError {
  if (cause instanceof ApiError) return ofApiError(cause);
  const code = error instanceof GraphQLError ? error.extensions.code : undefined;
  if (code === "PERSISTED_QUERY_NOT_FOUND") {
    return {
      code,
      message: "This hash is not known yet. Send the query's text together with its hash once.",
    };
  }
  if (
    error instanceof GraphQLError &&
    cause instanceof GraphQLError &&
    (isRequestErrorCode(code) || isCallersMistake(error, cause))
  ) {
    // The outer message says where: 'Variable "$input" got invalid value ... at "input.impressions[3].viewedAt"; ...'
    return { code: "BAD_USER_INPUT", message: shorten(rephrase(error.message)) };
  }
  return INTERNAL;
}

const INTERNAL: PublicError = {
  code: "INTERNAL_SERVER_ERROR",
  message: "Something went wrong on our side, and it is logged. If this persists, contact the operator.",
};

function ofApiError(error: ApiError): PublicError {
  const { code, retryAfterMs } = error.extensions;
  if (!isErrorCode(code)) return INTERNAL;
  return {
    code,
    message: shorten(error.message),
    ...(typeof retryAfterMs === "number" ? { retryAfterMs } : {}),
    ...(error instanceof QueryTooComplexError && error.price !== undefined ? { price: error.price } : {}),
  };
}

/** Apollo Server's codes for requests that never reach a resolver. */
function isRequestErrorCode(code: unknown): boolean {
  switch (code) {
    case "BAD_USER_INPUT":
    case "BAD_REQUEST":
    case "GRAPHQL_PARSE_FAILED":
    case "GRAPHQL_VALIDATION_FAILED":
    case "OPERATION_RESOLUTION_FAILURE":
    case "PERSISTED_QUERY_NOT_SUPPORTED":
      return true;
    default:
      return false;
  }
}

/**
 * graphql-js throws GraphQLErrors without a code where a request cannot be executed (no path), and where an argument
 * turns out to be missing only when its field runs. Other errors with a path are a resolver's, so ours.
 */
function isCallersMistake(error: GraphQLError, cause: GraphQLError): boolean {
  return (
    cause.extensions.code === undefined &&
    ((error.path === undefined && cause.path === undefined) || cause.message.startsWith('Argument "'))
  );
}

/** What was thrown, before graphql-js and Apollo Server wrapped it. */
function innermost(error: unknown): unknown {
  let cause = error;
  while (cause instanceof GraphQLError && cause.originalError !== undefined) cause = cause.originalError;
  return cause;
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(ERROR_CATALOGUE, code);
}

/** Sentences of Apollo Server about itself, as sentences about this service: how they begin, and what to say instead. */
const REPHRASED: readonly (readonly [begins: string, sentence: string])[] = [
  ["POST body missing", 'The body must be a JSON object: {"query": "...", "variables": {...}}.'],
  [
    "GraphQL operations must contain",
    "query must hold a GraphQL document: in the JSON body, or with GET in the address. (A redirect may have made a GET of a POST.)",
  ],
  ["GraphQL queries must be strings", "query must be a string that holds a GraphQL document."],
  [
    "Operation batching disabled",
    "Send one operation in each request: the body must be a JSON object, not a list.",
  ],
  ["GET requests only support", "GET runs queries only. Send mutations with POST."],
  [
    "An 'accept' header was provided",
    "The accept header must allow application/json or application/graphql-response+json.",
  ],
  [
    "GraphQL introspection is not allowed",
    "Introspection is off here. The schema is schema/schema.graphql of the package.",
  ],
  [
    "This operation has been blocked as a potential Cross-Site Request Forgery",
    "Blocked, because a foreign web page could have sent this (Cross-Site Request Forgery). Send the header " +
      '"content-type: application/json", or with GET a non-empty "apollo-require-preflight" header.',
  ],
];

function rephrase(message: string): string {
  return REPHRASED.find(([begins]) => message.startsWith(begins))?.[1] ?? message.trim();
}

function shorten(message: string): string {
  return message.length <= MESSAGE_CHARACTERS_MAX
    ? message
    : `${message.slice(0, MESSAGE_CHARACTERS_MAX)}...`;
}
