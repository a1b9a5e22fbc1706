import { clampWindow } from "../domain/time.ts";
import type { Position, WalkPage, WalkRequest } from "../domain/walk.ts";
import { ApiError } from "../errors.ts";
import { checkFirst } from "./arguments.ts";
import { type Connection, connectionOf, type WalkArgs } from "./connection.ts";
import type { RequestContext } from "./context.ts";
import { type CursorScope, decodeWalkCursor, encodeWalkCursor, type WalkCursor } from "./cursor.ts";
import { type OperationOfField, selectsViews } from "./selection.ts";

/** One of the two walks over views: a user's posts or a post's viewers. */
export interface Walk<Row> {
  readonly connection: "seenPosts" | "postViewers";
  readonly ownerId: string;
  readonly load: (request: WalkRequest) => Promise<WalkPage<Row>>;
  readonly positionOf: (row: Row) => Position;
}

/** Reads one page of a walk; its arguments are checked here, the owner's id is not. @param info the field's. */
export async function readWalk<Row>(
  walk: Walk<Row>,
  args: WalkArgs,
  context: RequestContext,
  info: OperationOfField,
): Promise<Connection<Row>> {
  checkFirst(args.first);
  const asked = { sinceMs: args.since ?? null, untilMs: args.until ?? null };
  const scope: CursorScope = {
    connection: walk.connection,
    owner: walk.ownerId,
    arguments: [asked.sinceMs, asked.untilMs],
  };
  const cursor = readCursor(scope, args.after ?? null);
  const window = clampWindow(asked, context.nowMs, context.deps.retentionMs);
  const page = await walk.load({
    ownerId: walk.ownerId,
    window: cursor === null ? window : { ...window, untilMs: Math.min(window.untilMs, cursor.boundMs) },
    after: cursor?.position ?? null,
    limit: args.first,
    withViews: selectsViews(info),
  });
  // The first page fixes the bound; every later cursor of the walk carries that one on.
  const boundMs = cursor?.boundMs ?? page.boundMs;
  const encode = (position: Position) => encodeWalkCursor(scope, { position, boundMs });
  const next = page.next === null ? null : nextPosition(page, page.next, walk.positionOf, args.first);
  return connectionOf({
    nodes: page.rows,
    cursorOf: (row) => encode(walk.positionOf(row)),
    nextCursor: next === null ? null : () => encode(next),
    hasPreviousPage: cursor !== null,
  });
}

/**
 * Where the next page goes on. Relay wants endCursor to be the last edge's, so a full page ends there, although the store
 * may have looked further. A page that ended at its scan bound goes on from that: from its last edge the same rows would
 * be looked at again, and a page without edges has none.
 */
function nextPosition<Row>(
  page: WalkPage<Row>,
  scanned: Position,
  positionOf: (row: Row) => Position,
  first: number,
): Position {
  const last = page.rows.at(-1);
  return last === undefined || page.rows.length < first ? scanned : positionOf(last);
}

function readCursor(scope: CursorScope, after: string | null): WalkCursor | null {
  if (after === null) return null;
  const cursor = decodeWalkCursor(scope, after);
  if (cursor === null) throw invalidCursor();
  return cursor;
}

export function invalidCursor(): ApiError {
  return new ApiError(
    "INVALID_CURSOR",
    "after is not a cursor of this list. Pass the endCursor of the page before, with the same other arguments, " +
      "or start again without after.",
  );
}
