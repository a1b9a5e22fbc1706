import type { DatabaseSync } from "node:sqlite";
import type { View } from "../domain/impression.ts";
import type { ScanPage, ScanPosition } from "../ports/impression-store.ts";

/** Rows that one page looks at. */
const SCANNED_ROWS_MAX = 2_000;

/** All views that have not expired, in the table's own order, a page at a time. */
export function createScan(reader: DatabaseSync) {
  const columns = "user_id, post_id, viewed_at_ms, received_at_us, surface, position, dwell_ms";
  const order = "ORDER BY user_id, post_id, viewed_at_ms LIMIT :limit";
  const fromTop = reader.prepare(`SELECT ${columns} FROM views ${order}`);
  const fromPosition = reader.prepare(`
    SELECT ${columns} FROM views WHERE (user_id, post_id, viewed_at_ms) > (:userId, :postId, :viewedAtMs) ${order}`);

  return (after: ScanPosition | null, limit: number, expiredThroughMs: number): ScanPage => {
    const [userId, postId, viewedAtMs] =
      after === null ? ["", "", 0] : (JSON.parse(after) as [string, string, number]);
    const rows = { limit: SCANNED_ROWS_MAX + 1 };
    const found =
      after === null ? fromTop.iterate(rows) : fromPosition.iterate({ ...rows, userId, postId, viewedAtMs });
    const views: View[] = [];
    let scanned = 0;
    let last: ScanPosition | null = after;
    for (const row of found) {
      const view = viewOf(row);
      const expired = view.viewedAtMs <= expiredThroughMs;
      if (scanned === SCANNED_ROWS_MAX || (!expired && views.length === limit)) return { views, next: last };
      if (!expired) views.push(view);
      scanned++;
      last = JSON.stringify([view.userId, view.postId, view.viewedAtMs]);
    }
    return { views, next: null };
  };
}

function viewOf(row: Readonly<Record<string, unknown>>): View {
  return {
    userId: String(row.user_id),
    postId: String(row.post_id),
    viewedAtMs: Number(row.viewed_at_ms),
    receivedAtUs: Number(row.received_at_us),
    surface: row.surface as string | null,
    position: row.position as number | null,
    dwellMs: row.dwell_ms as number | null,
  };
}
