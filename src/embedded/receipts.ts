import type { DatabaseSync } from "node:sqlite";
import type { Erasure, ErasureStatus } from "../domain/erasure.ts";

/** Unfinished erasures looked at; they are worked off one at a time, oldest first. */
const UNFINISHED_MAX = 1_000;

/** The receipts of erasures, and how much one has to delete. */
export function createReceipts(reader: DatabaseSync) {
  const columns = "id, user_id, requested_at_us, status, rows_deleted, finished_at_ms";
  const find = reader.prepare(`SELECT ${columns} FROM erasures WHERE id = ?`);
  const unfinished = reader.prepare(`
    SELECT ${columns} FROM erasures WHERE status NOT IN ('DONE', 'FAILED')
    ORDER BY requested_at_us, id LIMIT ${UNFINISHED_MAX}`);
  const views = reader.prepare(
    "SELECT count(*) AS views FROM views WHERE user_id = ? AND received_at_us <= ?",
  );
  return {
    countViews: (userId: string, throughReceivedAtUs: number): number =>
      Number(views.get(userId, throughReceivedAtUs)?.views),
    find(id: string): Erasure | null {
      const row = find.get(id);
      return row === undefined ? null : erasureOf(row);
    },
    unfinished: (): Erasure[] => unfinished.all().map(erasureOf),
  };
}

function erasureOf(row: Readonly<Record<string, unknown>>): Erasure {
  return {
    id: String(row.id),
    userId: String(row.user_id),
    requestedAtUs: Number(row.requested_at_us),
    status: row.status as ErasureStatus,
    rowsDeleted: Number(row.rows_deleted),
    finishedAtMs: row.finished_at_ms === null ? null : Number(row.finished_at_ms),
  };
}
