import type { DatabaseSync } from "node:sqlite";
import type { Erasure, ErasureReach, ErasureStatus } from "../domain/erasure.ts";
import type { Clock } from "../domain/time.ts";
import { USER_HASH } from "./schema.ts";
import type { UserPosition } from "./store-writes.ts";

/** Unfinished erasures looked at, the oldest; see admin/erasure-runner.ts for which have their turn. */
const UNFINISHED_MAX = 1_000;

/** Views that one read counts: 20,000 rows that are in memory took about 1 ms. */
const COUNTED_ROWS_MAX = 20_000;

export interface ViewCount {
  readonly views: number;
  /** Where counting goes on; null at the end of the history. */
  readonly next: UserPosition | null;
}

/** The records of erasures, and how much one has to delete. */
export function createErasureRecords(reader: DatabaseSync) {
  const columns = "id, user_id, requested_at_us, status, rows_deleted, finished_at_ms";
  const find = reader.prepare(`SELECT ${columns} FROM erasures WHERE id = ?`);
  const unfinished = reader.prepare(`
    SELECT ${columns} FROM erasures WHERE status NOT IN ('DONE', 'FAILED')
    ORDER BY requested_at_us, id LIMIT ${UNFINISHED_MAX}`);
  const rest = "FROM views WHERE user_id = :userId AND (post_id, viewed_at_ms) > (:postId, :viewedAtMs)";
  const inOrder = "ORDER BY post_id, viewed_at_ms";
  const views = reader.prepare(`
    SELECT count(*) AS views FROM (SELECT received_at_us ${rest} ${inOrder} LIMIT ${COUNTED_ROWS_MAX})
    WHERE received_at_us <= :throughUs OR received_at_us > :aheadOfUs`);
  const last = reader.prepare(
    `SELECT post_id, viewed_at_ms ${rest} ${inOrder} LIMIT 1 OFFSET ${COUNTED_ROWS_MAX - 1}`,
  );
  const through = reader.prepare(`
    SELECT value AS user_id, through_received_at_us AS through FROM json_each(?)
    JOIN erased_user_hashes ON user_hash = ${USER_HASH}((SELECT key FROM user_hash_key), value)`);
  return {
    erasedThrough(userIds: readonly string[]): Map<string, number> {
      const rows = through.all(JSON.stringify(userIds));
      return new Map(rows.map((row) => [String(row.user_id), Number(row.through)]));
    },
    /** Counts the next of a user's views that an erasure takes. @param after null at first. */
    countViews(
      userId: string,
      { throughUs, aheadOfUs }: ErasureReach,
      after: UserPosition | null,
    ): ViewCount {
      const from = { userId, ...(after ?? { postId: "", viewedAtMs: 0 }) };
      const end = last.get(from);
      return {
        views: Number(views.get({ ...from, throughUs, aheadOfUs })?.views),
        next:
          end === undefined ? null : { postId: String(end.post_id), viewedAtMs: Number(end.viewed_at_ms) },
      };
    },
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

/** Who works at an erasure. In memory: one process has the files, and what it claimed ends with it. */
export function createClaims(clock: Pick<Clock, "monotonicMs">) {
  const claims = new Map<string, { readonly holder: string; readonly untilMs: number }>();

  const holderOf = (id: string) => {
    const claim = claims.get(id);
    return claim === undefined || claim.untilMs <= clock.monotonicMs() ? null : claim.holder;
  };

  return {
    claim(id: string, holder: string, leaseMs: number): boolean {
      if ((holderOf(id) ?? holder) !== holder) return false;
      claims.set(id, { holder, untilMs: clock.monotonicMs() + leaseMs });
      return true;
    },
    release(id: string, holder: string): void {
      if (claims.get(id)?.holder === holder) claims.delete(id);
    },
  };
}
