import type { DatabaseSync, StatementSync } from "node:sqlite";
import { VIEWS_COUNT_MAX } from "../domain/limits.ts";
import type { Position, PostViewerRow, SeenPostRow, WalkPage, WalkRequest } from "../domain/walk.ts";

/**
 * Rows that one page looks at, those it does not emit included; a page may end short of its limit there. Bounds what
 * a page takes from the event loop: 2,000 rows of which next to none is emitted took 3 to 5 ms on a table of 500,000,
 * a page of 50 took 0.2 ms.
 */
const SCANNED_ROWS_MAX = 2_000;
/** Whose rows are so many of those that a page has looked at fills the history, and is passed over. */
const FILLING_ROWS_MIN = SCANNED_ROWS_MAX / 4;
/** Rows of such that one page passes over inside SQLite, once: 50,000 took 6 ms. */
const PASSED_ROWS_MAX = 50_000;
/** Rows that one page counts for its `views` fields; a page that has counted more ends there. 20,000 took 0.5 ms. */
const COUNTED_ROWS_MAX = 20_000;

export interface Walks {
  seenPosts(request: WalkRequest): WalkPage<SeenPostRow>;
  postViewers(request: WalkRequest): WalkPage<PostViewerRow>;
}

/** The two walks of domain/walk over the views table. Ids come in UTF-8 order because SQLite compares text by bytes. */
export function createWalks(reader: DatabaseSync): Walks {
  const timeline = statements(reader, { owner: "user_id", id: "post_id", index: "views_by_user" });
  const viewers = statements(reader, { owner: "post_id", id: "user_id", index: "views_by_post" });
  const view = reader.prepare(
    "SELECT surface, position, dwell_ms FROM views WHERE user_id = ? AND post_id = ? AND viewed_at_ms = ?",
  );
  const count = reader.prepare(`
    SELECT count(*) AS views FROM (
      SELECT 1 FROM views WHERE user_id = ? AND post_id = ? AND viewed_at_ms >= ? AND viewed_at_ms < ?
      LIMIT ${VIEWS_COUNT_MAX}
    )`);

  const countViews = (userId: string, postId: string, { window }: WalkRequest) =>
    Number(count.get(userId, postId, window.sinceMs, window.untilMs)?.views ?? 0);

  return {
    seenPosts: (request) =>
      walk(timeline, request, ({ id: postId, viewedAtMs }) => {
        const row = view.get(request.ownerId, postId, viewedAtMs);
        return {
          postId,
          lastViewedAtMs: viewedAtMs,
          views: countViews(request.ownerId, postId, request),
          surface: row?.surface == null ? null : String(row.surface),
          position: row?.position == null ? null : Number(row.position),
          dwellMs: row?.dwell_ms == null ? null : Number(row.dwell_ms),
        };
      }),

    postViewers: (request) =>
      walk(viewers, request, ({ id: userId, viewedAtMs }) => ({
        userId,
        lastViewedAtMs: viewedAtMs,
        views: countViews(userId, request.ownerId, request),
      })),
  };
}

interface WalkStatements {
  readonly fromTop: StatementSync;
  readonly fromPosition: StatementSync;
  /** From a position on without the rows of some. */
  readonly passing: StatementSync;
  /** The instant of the last row that may be passed over; none where fewer are left. */
  readonly passedThrough: StatementSync;
}

/**
 * Each row comes with the answer whether it is the newest of its (user, post) below the walk's end: whether the
 * membership index holds no later one. Asked row by row, that is one look into an index, however often a post was seen.
 */
function statements(
  reader: DatabaseSync,
  { owner, id, index }: { readonly owner: string; readonly id: string; readonly index: string },
): WalkStatements {
  const range = `FROM views INDEXED BY ${index} WHERE ${owner} = :ownerId AND viewed_at_ms >= :sinceMs`;
  // The position lies below the end already, and SQLite uses one upper bound of an index.
  const behind = `(viewed_at_ms, ${id}) < (:afterMs, :afterId)`;
  const inOrder = `ORDER BY viewed_at_ms DESC, ${id} DESC`;
  const prepare = (condition: string) =>
    reader.prepare(`
      SELECT viewed_at_ms, ${id} AS id, NOT EXISTS (
        SELECT 1 FROM views AS later
        WHERE later.user_id = views.user_id AND later.post_id = views.post_id
          AND later.viewed_at_ms > views.viewed_at_ms AND later.viewed_at_ms < :untilMs
      ) AS newest
      ${range} AND ${condition} ${inOrder} LIMIT ${SCANNED_ROWS_MAX + 1}`);
  return {
    fromTop: prepare("viewed_at_ms < :untilMs"),
    fromPosition: prepare(behind),
    passing: prepare(`${behind} AND ${id} NOT IN (SELECT value FROM json_each(:passed))`),
    passedThrough: reader.prepare(
      `SELECT viewed_at_ms ${range} AND ${behind} ${inOrder} LIMIT 1 OFFSET ${PASSED_ROWS_MAX - 1}`,
    ),
  };
}

function walk<Row extends { readonly views: number }>(
  { fromTop, fromPosition, passing, passedThrough }: WalkStatements,
  { ownerId, window, after, limit }: WalkRequest,
  rowAt: (position: Position) => Row,
): WalkPage<Row> {
  const { sinceMs, untilMs } = window;
  const rows: Row[] = [];
  /** Rows looked at, by whose they are. */
  const looked = new Map<string, number>();
  let boundMs: number | null = after === null ? null : untilMs;
  let counted = 0;
  let last: Position | null = after;

  /** Emits out of what was found, until the page is full, has done enough, or nothing more was found. */
  function take(found: Iterable<Record<string, unknown>>): "full" | "enough" | "end" {
    let scanned = 0;
    for (const row of found) {
      const position = { viewedAtMs: Number(row.viewed_at_ms), id: String(row.id) };
      // Nothing of this owner lies between the newest row and `untilMs`, so this page is the same under either.
      boundMs ??= Math.min(untilMs, position.viewedAtMs + 1);
      if (scanned === SCANNED_ROWS_MAX) return "enough";
      const emit = row.newest === 1;
      // The page is full and here is one more to emit. Looking for it means that a walk never ends with an empty page.
      if (emit && (rows.length === limit || counted >= COUNTED_ROWS_MAX)) return "full";
      if (emit) {
        const emitted = rowAt(position);
        rows.push(emitted);
        counted += emitted.views;
      }
      looked.set(position.id, (looked.get(position.id) ?? 0) + 1);
      scanned++;
      last = position;
    }
    return "end";
  }

  const behind = ({ viewedAtMs, id }: Position) => ({ ownerId, sinceMs, afterMs: viewedAtMs, afterId: id });
  const page = (next: Position | null): WalkPage<Row> => ({ rows, boundMs: boundMs ?? untilMs, next });

  const outcome = take(
    after === null
      ? fromTop.iterate({ ownerId, sinceMs, untilMs })
      : fromPosition.iterate({ ...behind(after), untilMs }),
  );
  if (outcome === "end") return page(null);
  // Of a user with a row that was looked at, nothing older is emitted on this page: it is the newest, or lies below it.
  const passed = [...looked].filter(([, count]) => count >= FILLING_ROWS_MIN).map(([id]) => id);
  if (outcome === "full" || last === null || passed.length === 0 || rows.length === limit) return page(last);

  const start = behind(last);
  const end = passedThrough.get(start);
  const endMs = end === undefined ? sinceMs : Number(end.viewed_at_ms);
  const others = passing.iterate({ ...start, sinceMs: endMs, untilMs, passed: JSON.stringify(passed) });
  if (take(others) !== "end") return page(last);
  // Everything of that instant was looked at, and no id is empty.
  return page(end === undefined ? null : { viewedAtMs: endMs, id: "" });
}
