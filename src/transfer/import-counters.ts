import type { LineRejectionReason } from "./line-codec.ts";

/** What became of the lines so far; blank lines are not counted. */
export interface ImportCounters {
  readonly lines: number;
  /** Handed to the queue (in a dry run: would be). */
  readonly accepted: number;
  /** Older than the retention: nothing to store, and nothing wrong with a dump of a database that kept them. */
  readonly old: number;
  readonly rejected: Readonly<Partial<Record<LineRejectionReason, number>>>;
}

export const NO_LINES: ImportCounters = { lines: 0, accepted: 0, old: 0, rejected: {} };

/** How many lines were rejected, whatever the reason. */
export function rejectedLines(counters: ImportCounters): number {
  return Object.values(counters.rejected).reduce((sum, count) => sum + count, 0);
}
