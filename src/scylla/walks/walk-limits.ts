import type { Window } from "../../domain/time.ts";
import { compareUtf8 } from "../../domain/utf8-order.ts";
import type { Position, WalkPage } from "../../domain/walk.ts";

/** Rows that one page of a walk looks at, those it does not give included; a page may end short of its limit there. */
export const SCANNED_ROWS_MAX = 2_000;
/** Rows of one piece of a scan. */
const CHUNK_ROWS_MIN = 25;
export const CHUNK_ROWS_MAX = 500;

/**
 * Rows to read for so many rows to give: half as many again, since some are not the newest of their post or viewer, and
 * one to see that there is more; twice as many each round, where many are not.
 *
 * @param round 0 for the first piece of a page.
 */
export function chunkFor(missing: number, round: number): number {
  const wanted = Math.ceil(1.5 * (missing + 1)) * 2 ** Math.min(round, 5);
  return Math.max(CHUNK_ROWS_MIN, Math.min(CHUNK_ROWS_MAX, wanted));
}

/** Sorts before every id, since no id is empty. */
export const NO_ID = "";

/** Where a walk over this window begins: behind every view at or after its end. */
export function endOf({ untilMs }: Window): Position {
  return { viewedAtMs: untilMs, id: NO_ID };
}

/** Whether nothing can lie inside; the database is not asked then, since a range that ends before it begins may be an error. */
export function isEmpty({ sinceMs, untilMs }: Window): boolean {
  return sinceMs >= untilMs;
}

export function emptyPage<Row>({ untilMs }: Window): WalkPage<Row> {
  return { rows: [], boundMs: untilMs, next: null };
}

/** Sorts by the order of a walk, last first: negative where `a` comes later in a walk than `b`. */
export function comparePositions(a: Position, b: Position): number {
  return a.viewedAtMs - b.viewedAtMs || compareUtf8(a.id, b.id);
}
