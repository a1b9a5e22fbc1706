import type { types } from "cassandra-driver";
import type { View } from "../domain/impression.ts";
import type { Position } from "../domain/walk.ts";
import type { ScanPage, ScanPosition } from "../ports/impression-store.ts";
import type { Database } from "./database.ts";
import { createSettling, type PackRow, packRowOf, type StoredView, viewsInWindow } from "./packs/history.ts";
import { textOf } from "./rows.ts";
import { comparePositions } from "./walks/walk-limits.ts";

/** Views of one page. */
const SCANNED_VIEWS_MAX = 2_000;
/** Packs of one answer: about as many views as a page has, where ten were submitted at a time. */
const PACKS_PER_ANSWER = 200;

/** Where a page ended: behind this view of the user, or, without one, behind the whole user. */
interface Place {
  readonly userId: string;
  readonly view: Position | null;
}

/**
 * A page of all views in the order of the ring: user by user in the order of their tokens, and a user's views newest
 * first. It goes on from the last view itself, not from a page state of the driver, so that an export can be resumed
 * after an upgrade of anything.
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
  const wanted = Math.min(limit, SCANNED_VIEWS_MAX);
  const sinceMs = expiredThroughMs + 1;
  const views: View[] = [];
  let place = after === null ? null : parsePosition(after);

  if (place !== null && place.view !== null && (await takeUser(place.userId, place.view))) return page();
  const rows = await laterRows(database, place?.userId ?? null);
  const stretches = stretchesOf(rows);
  const isOver = rows.length < PACKS_PER_ANSWER;
  for (const [index, { userId, packs }] of stretches.entries()) {
    const isCut = !isOver && index === stretches.length - 1;
    const isFull = isCut ? await takeUser(userId, null) : take(userId, settled(packs));
    if (isFull) return page();
    place = { userId, view: null };
  }
  return isOver ? { views, next: null } : page();

  function page(): ScanPage {
    return { views, next: place === null ? null : positionOf(place) };
  }

  /** Takes what follows of a user, newest first. @returns whether the page is full. */
  function take(userId: string, stored: readonly StoredView[]): boolean {
    for (const view of stored) {
      if (views.length === wanted) return true;
      views.push({ userId, ...view });
      place = { userId, view: { viewedAtMs: view.viewedAtMs, id: view.postId } };
    }
    return false;
  }

  async function takeUser(userId: string, behind: Position | null): Promise<boolean> {
    const window = { sinceMs, untilMs: behind === null ? Number.POSITIVE_INFINITY : behind.viewedAtMs + 1 };
    for await (const visitViews of viewsInWindow(database, userId, window, PACKS_PER_ANSWER)) {
      const stored: StoredView[] = [];
      visitViews((view) => {
        const place = { viewedAtMs: view.viewedAtMs, id: view.postId };
        if (behind === null || comparePositions(place, behind) < 0) stored.push({ ...view });
      });
      if (take(userId, stored)) return true;
    }
    return false;
  }

  function settled(packs: readonly PackRow[]): StoredView[] {
    const views: StoredView[] = [];
    const keep = (view: StoredView) => void views.push({ ...view });
    const settling = createSettling({ sinceMs, untilMs: Number.POSITIVE_INFINITY });
    settling.add(packs, keep);
    settling.rest(keep);
    return views;
  }
}

function laterRows(database: Database, userId: string | null): Promise<types.Row[]> {
  return userId === null
    ? database.read("scanFirst", [PACKS_PER_ANSWER], PACKS_PER_ANSWER)
    : database.read("scanLaterUsers", [userId, PACKS_PER_ANSWER], PACKS_PER_ANSWER);
}

/** The packs of an answer by user; those of one stand one after the other. */
function stretchesOf(rows: readonly types.Row[]): { readonly userId: string; readonly packs: PackRow[] }[] {
  const users = Map.groupBy(rows, (row) => textOf(row, "user_id"));
  return [...users].map(([userId, own]) => ({ userId, packs: own.map(packRowOf) }));
}

function positionOf({ userId, view }: Place): ScanPosition {
  return JSON.stringify(view === null ? [userId] : [userId, view.id, view.viewedAtMs]);
}

function parsePosition(position: ScanPosition): Place {
  const [userId, id, viewedAtMs] = JSON.parse(position) as [string, string?, number?];
  const isInside = id !== undefined && viewedAtMs !== undefined;
  return { userId, view: isInside ? { id, viewedAtMs } : null };
}
