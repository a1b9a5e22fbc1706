import type { RecordImpressionsInput, RecordImpressionsMutation } from "../../../src/generated/operations.ts";

/** The posts that a user saw, as in an answer. */
export interface SeenPostAnswer {
  readonly lastViewedAt: string;
  readonly views: number;
  readonly post: { readonly id: string };
}

/** A published GraphQL client, used the way its documentation says. Calls reject with the client's own error. */
export interface Caller {
  record(input: RecordImpressionsInput): Promise<RecordImpressionsMutation["recordImpressions"]>;
  /** Asks the service each time, never a cache. */
  unseenPosts(userId: string, candidates: readonly string[]): Promise<readonly string[]>;
  /** A user's whole history, with the client's own means of paging. */
  history(userId: string, first: number): Promise<readonly SeenPostAnswer[]>;
  /** The facts that a program finds in an error of the client. */
  explain(error: unknown): Explanation;
}

export interface Explanation {
  readonly code: unknown;
  readonly message: string | undefined;
  readonly retryAfterMs: unknown;
  readonly status: number | undefined;
  /** The header, in seconds. */
  readonly retryAfter: string | null | undefined;
}

export interface CallerOptions {
  readonly url: string;
  /** How queries travel; mutations are always posted. */
  readonly queriesBy: "GET" | "POST";
  readonly fetch: typeof fetch;
}

/** The first error of a GraphQL answer, with the HTTP answer that carried it. */
export function explanationOf(
  errors: readonly { message: string; extensions?: Record<string, unknown> | undefined }[] | undefined,
  response: Pick<Response, "status" | "headers"> | undefined,
): Explanation {
  const { message, extensions } = errors?.[0] ?? {};
  return {
    code: extensions?.code,
    message,
    retryAfterMs: extensions?.retryAfterMs,
    status: response?.status,
    retryAfter: response?.headers.get("retry-after"),
  };
}
