import type { types } from "cassandra-driver";
import type { View } from "../domain/impression.ts";
import type { ScanPage, ScanPosition } from "../ports/impression-store.ts";
import type { Database } from "./database.ts";
import { timestampOf, viewOf } from "./rows.ts";

/** Rows that one page looks at, those whose time is over included. */
const SCANNED_ROWS_MAX = 2_000;

/**
 * A page of all views in the order of the ring: partition by partition in the order of their tokens, and inside each as
 * it is clustered. It goes on from the last view itself, not from a page state of the driver, so that an export can be
 * resumed after an upgrade of anything.
 *
 * Two users with the same token (64 bits; at 100 million users there is one such pair with 3 in 10,000) may be taken
 * for one, if a page happens to end between them.
 */
export async function scanViews(
  database: Database,
  after: ScanPosition | null,
  limit: number,
  expiredThroughMs: number,
): Promise<ScanPage> {
  const wanted = Math.min(limit, SCANNED_ROWS_MAX);
  const rows = await rowsAfter(database, after, wanted);
  const scanned = rows.map(viewOf);
  const last = scanned.length < wanted ? undefined : scanned.at(-1);
  return {
    views: scanned.filter(({ viewedAtMs }) => viewedAtMs > expiredThroughMs),
    next: last === undefined ? null : positionOf(last),
  };
}

async function rowsAfter(
  database: Database,
  after: ScanPosition | null,
  wanted: number,
): Promise<readonly types.Row[]> {
  if (after === null) return database.read("scanFirst", [wanted], wanted);
  const { userId, postId, viewedAtMs } = parsePosition(after);
  // What is left of the post, of the user, and of the ring.
  const rows = await database.read(
    "scanOlderOfPost",
    [userId, postId, timestampOf(viewedAtMs), wanted],
    wanted,
  );
  for (const [statement, parameters] of [
    ["scanLaterPosts", [userId, postId]],
    ["scanLaterUsers", [userId]],
  ] as const) {
    const missing = wanted - rows.length;
    if (missing > 0) rows.push(...(await database.read(statement, [...parameters, missing], missing)));
  }
  return rows;
}

function positionOf({ userId, postId, viewedAtMs }: View): ScanPosition {
  return JSON.stringify([userId, postId, viewedAtMs]);
}

function parsePosition(position: ScanPosition): Pick<View, "userId" | "postId" | "viewedAtMs"> {
  const [userId, postId, viewedAtMs] = JSON.parse(position) as [string, string, number];
  return { userId, postId, viewedAtMs };
}
