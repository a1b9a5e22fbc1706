import { GraphQLError } from "graphql";

/**
 * The error catalogue: every `extensions.code` that leaves the process, its HTTP status and what the caller should do.
 * docs/errors.md documents the same list; a test holds the two against each other.
 */
export const ERROR_CATALOGUE = {
  BAD_USER_INPUT: { status: 400, retryable: false },
  INVALID_CURSOR: { status: 400, retryable: false },
  QUERY_TOO_COMPLEX: { status: 400, retryable: false },
  PERSISTED_QUERY_NOT_FOUND: { status: 200, retryable: false },
  UNAUTHENTICATED: { status: 401, retryable: false },
  FORBIDDEN: { status: 403, retryable: false },
  BATCH_TOO_LARGE: { status: 413, retryable: false },
  RATE_LIMITED: { status: 429, retryable: true },
  INTERNAL_SERVER_ERROR: { status: 500, retryable: false },
  AUTH_UNAVAILABLE: { status: 503, retryable: true },
  OVERLOADED: { status: 503, retryable: true },
  QUEUE_UNAVAILABLE: { status: 503, retryable: true },
  STORE_UNAVAILABLE: { status: 503, retryable: true },
} as const satisfies Record<string, { status: number; retryable: boolean }>;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;

type RetryableCode = {
  [C in ErrorCode]: (typeof ERROR_CATALOGUE)[C]["retryable"] extends true ? C : never;
}[ErrorCode];

/**
 * An error as a client sees it. The message is one sentence that says what to do; it never carries a stack, query
 * text or a driver's words.
 */
export class ApiError extends GraphQLError {
  constructor(code: Exclude<ErrorCode, RetryableCode>, message: string);
  constructor(code: RetryableCode, message: string, retryAfterMs: number);
  constructor(code: ErrorCode, message: string, retryAfterMs?: number) {
    super(message, { extensions: extensionsOf(code, retryAfterMs) });
  }
}

/** What a query would cost, and what is allowed; docs/query-cost.md. */
export interface QueryPrice {
  readonly cost: number;
  readonly costMax: number;
}

/** The document or the query asks for too much. `price` where it is about the cost. */
export class QueryTooComplexError extends ApiError {
  readonly price: QueryPrice | undefined;

  constructor(message: string, price?: QueryPrice) {
    super("QUERY_TOO_COMPLEX", message);
    this.price = price;
  }
}

/** The `extensions` of a catalogued error; `http` is what Apollo Server answers with and never reaches the client. */
function extensionsOf(code: ErrorCode, retryAfterMs: number | undefined): Record<string, unknown> {
  const { status } = ERROR_CATALOGUE[code];
  if (retryAfterMs === undefined) return { code, http: { status } };
  const headers = new Map([["retry-after", String(Math.ceil(retryAfterMs / 1_000))]]);
  return { code, retryAfterMs, http: { status, headers } };
}
