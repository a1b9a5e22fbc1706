import { createHash } from "node:crypto";
import type { Position } from "../domain/walk.ts";

/**
 * Opaque cursors. A cursor is base64url of a JSON array
 *
 *   [position..., check]
 *
 * The check is a hash over the version, the connection, its owner, the asked window and the position: a cursor of
 * another walk and a cursor with a changed character are both refused. (The check finds damage, not forgery: a cursor
 * grants nothing that its holder could not ask for without it.)
 */
const CURSOR_VERSION = 1;
/** Longest cursor that is looked at: an id of 128 astral characters in base64, and room. */
const CURSOR_CHARACTERS_MAX = 1_024;

export type ConnectionName = "seenPosts" | "postViewers" | "deadLetters";

/** What a cursor belongs to: the connection, its owner, and the window or filter as asked. */
export interface CursorScope {
  readonly connection: ConnectionName;
  readonly owner: string;
  readonly arguments: readonly (string | number | null)[];
}

export interface WalkCursor {
  readonly position: Position;
  /** The walk's upper bound, fixed by its first page. */
  readonly boundMs: number;
}

export function encodeWalkCursor(scope: CursorScope, cursor: WalkCursor): string {
  return encode(scope, [cursor.position.viewedAtMs, cursor.position.id, cursor.boundMs]);
}

/** The cursor's content, or null where it is broken or made for another walk. */
export function decodeWalkCursor(scope: CursorScope, cursor: string): WalkCursor | null {
  const content = decode(scope, cursor);
  if (content === null || content.length !== 3) return null;
  const [viewedAtMs, id, boundMs] = content;
  if (!Number.isSafeInteger(viewedAtMs) || typeof id !== "string" || !Number.isSafeInteger(boundMs))
    return null;
  return { position: { viewedAtMs: viewedAtMs as number, id }, boundMs: boundMs as number };
}

export function encodeSequenceCursor(scope: CursorScope, sequence: number): string {
  return encode(scope, [sequence]);
}

/** The sequence number in the cursor, or null where it is broken or made for another list. */
export function decodeSequenceCursor(scope: CursorScope, cursor: string): number | null {
  const content = decode(scope, cursor);
  if (content === null || content.length !== 1 || !Number.isSafeInteger(content[0])) return null;
  return content[0] as number;
}

function encode(scope: CursorScope, content: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify([...content, checkOf(scope, content)]), "utf8").toString("base64url");
}

function decode(scope: CursorScope, cursor: string): readonly unknown[] | null {
  if (cursor.length > CURSOR_CHARACTERS_MAX) return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
  } catch {
    return null;
  }
  if (!Array.isArray(parsed)) return null;
  const content = parsed.slice(0, -1) as (string | number)[];
  // Base64, UTF-8 and JSON all read some damaged texts as if they were whole: only what encode() gives is a cursor.
  return encode(scope, content) === cursor ? content : null;
}

function checkOf(scope: CursorScope, content: readonly (string | number)[]): string {
  const bound = [CURSOR_VERSION, scope.connection, scope.owner, scope.arguments, content];
  return createHash("sha256").update(JSON.stringify(bound)).digest("base64url").slice(0, 12);
}
