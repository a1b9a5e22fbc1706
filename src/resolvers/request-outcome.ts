import type { ErrorCode } from "../errors.ts";

/** What is known of a request while it runs, written down by each part that learns it, for the log and the metrics. */
export interface RequestOutcome {
  /** The id by which the caller and the log name the request. */
  readonly requestId: string;
  /** The operation's name as the caller gave it; null until the document is read, and where it has none. */
  operation: string | null;
  /** Of the most severe error by now; null where there was none. */
  code: ErrorCode | null;
  ranOutOfTime: boolean;
}

export function newRequestOutcome(requestId: string): RequestOutcome {
  return { requestId, operation: null, code: null, ranOutOfTime: false };
}
