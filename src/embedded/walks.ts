import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Position, PostViewerRow, SeenPostRow, WalkPage, WalkRequest } from "../domain/walk.ts";

/**
 * Rows that one page looks at, those it does not emit included; a page may end short of its limit there. Bounds what
 * a page takes from the event loop: 2,000 rows of which next to none is emitted took 3 to 5 ms on a table of 500,000,
 * a page of 50 took 0.2 ms.
 */
const SCANNED_ROWS_MAX = 2_000;

/**
 * Rows that one page counts for its `views` fields; a page that has counted more ends there. A count itself is never cut
 * short. 20,000 rows that are in memory took 0.5 ms.
 */
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
    SELECT count(*) AS views FROM views
    WHERE user_id = ? AND post_id = ? AND viewed_at_ms >= ? AND viewed_at_ms < ?`);

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
}

/**
 * Each row comes with the answer whether it is the newest of its (user, post) below the walk's end: whether the
 * membership index holds no later one. Asked row by row, that is one look into an index, however often a post was seen.
 */
function statements(
  reader: DatabaseSync,
  { owner, id, index }: { readonly owner: string; readonly id: string; readonly index: string },
): WalkStatements {
  const prepare = (start: string) =>
    reader.prepare(`
      SELECT viewed_at_ms, ${id} AS id, NOT EXISTS (
        SELECT 1 FROM views AS later
        WHERE later.user_id = views.user_id AND later.post_id = views.post_id
          AND later.viewed_at_ms > views.viewed_at_ms AND later.viewed_at_ms < :untilMs
      ) AS newest
      FROM views INDEXED BY ${index}
      WHERE ${owner} = :ownerId AND viewed_at_ms >= :sinceMs AND ${start}
      ORDER BY viewed_at_ms DESC, ${id} DESC
      LIMIT :limit`);
  return {
    fromTop: prepare("viewed_at_ms < :untilMs"),
    // The position lies below the end already, and SQLite uses one upper bound of an index.
    fromPosition: prepare(`(viewed_at_ms, ${id}) < (:afterMs, :afterId)`),
  };
}

function walk<Row extends { readonly views: number }>(
  { fromTop, fromPosition }: WalkStatements,
  { ownerId, window, after, limit }: WalkRequest,
  rowAt: (position: Position) => Row,
): WalkPage<Row> {
  const { sinceMs, untilMs } = window;
  const range = { ownerId, sinceMs, untilMs, limit: SCANNED_ROWS_MAX + 1 };
  const scan =
    after === null
      ? fromTop.iterate(range)
      : fromPosition.iterate({ ...range, afterMs: after.viewedAtMs, afterId: after.id });

  const rows: Row[] = [];
  let boundMs: number | null = after === null ? null : untilMs;
  let scanned = 0;
  let counted = 0;
  let last: Position | null = after;
  for (const row of scan) {
    const position = { viewedAtMs: Number(row.viewed_at_ms), id: String(row.id) };
    // Nothing of this owner lies between the newest row and `untilMs`, so this page is the same under either.
    boundMs ??= Math.min(untilMs, position.viewedAtMs + 1);
    if (scanned === SCANNED_ROWS_MAX) return { rows, boundMs, next: last };
    const emit = row.newest === 1;
    // The page is full and here is one more to emit. Looking for it means that a walk never ends with an empty page.
    if (emit && (rows.length === limit || counted >= COUNTED_ROWS_MAX)) return { rows, boundMs, next: last };
    if (emit) {
      const emitted = rowAt(position);
      rows.push(emitted);
      counted += emitted.views;
    }
    scanned++;
    last = position;
  }
  return { rows, boundMs: boundMs ?? untilMs, next: null };
}
