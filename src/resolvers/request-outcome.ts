import type { ErrorCode } from "../errors.ts";

/** What is known of a request while it runs, written down by whoever learns it, for the log and the metrics. */
export interface RequestOutcome {
  /** The operation's name as the caller gave it; null until the document is read, and where it has none. */
  operation: string | null;
  /** Of the gravest error by now; null where there was none. */
  code: ErrorCode | null;
}

export function newRequestOutcome(): RequestOutcome {
  return { operation: null, code: null };
}
