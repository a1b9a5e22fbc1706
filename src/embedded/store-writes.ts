import type { DatabaseSync } from "node:sqlite";
import { type Erasure, type ErasureReach, isWithin } from "../domain/erasure.ts";
import type { View } from "../domain/impression.ts";
import { compareDetails, type Details } from "../domain/versions.ts";
import { USER_HASH } from "./schema.ts";

/**
 * Everything that changes store.sqlite. Runs in the writer's thread, each operation inside a transaction; the instant
 * comes with the input, because the thread has no clock of its own.
 */
export type StoreWrites = {
  readonly writeHistory: (input: WriteHistoryInput) => void;
  /** From its commit on, no view of the user that was received up to the instant gets in any more. */
  readonly markErased: (input: { readonly userId: string; readonly throughReceivedAtUs: number }) => void;
  /** Deletes the user's views that the erasure takes, looking at no more than `rows` of them. */
  readonly eraseChunk: (input: EraseChunkInput) => ChunkOutcome<UserPosition>;
  /** Deletes views whose retention is over, looking at no more than `rows`. */
  readonly sweepChunk: (input: SweepChunkInput) => ChunkOutcome<ViewPosition>;
  /** Forgets the marks of users who were erased so long ago that no retention reaches back to then. */
  readonly forgetErased: (input: { readonly throughReceivedAtUs: number }) => void;
  /** Of one that is DONE the user's hash is kept instead of the id. */
  readonly saveErasure: (input: Erasure) => void;
};

export interface WriteHistoryInput {
  readonly userId: string;
  readonly views: readonly View[];
  /** A view at or before this instant is over: it is passed over. */
  readonly expiredThroughMs: number;
}

/** A place among one user's views, in the order of the primary key. */
export interface UserPosition {
  readonly postId: string;
  readonly viewedAtMs: number;
}

/** A place among all views, in the order of the primary key. */
export interface ViewPosition extends UserPosition {
  readonly userId: string;
}

export interface EraseChunkInput {
  readonly userId: string;
  readonly reach: ErasureReach;
  readonly after: UserPosition | null;
  readonly rows: number;
}

export interface SweepChunkInput {
  readonly expiredThroughMs: number;
  readonly after: ViewPosition | null;
  readonly rows: number;
}

export interface ChunkOutcome<Position> {
  readonly rowsDeleted: number;
  /** Where the next chunk goes on; null when there is nothing behind. */
  readonly next: Position | null;
}

/** SQL's name of `compareDetails`. */
const DETAILS_ORDER = "compare_details";

export function createStoreWrites(database: DatabaseSync): StoreWrites {
  database.function(DETAILS_ORDER, { deterministic: true }, compareColumns);
  const hash = `${USER_HASH}((SELECT key FROM user_hash_key), :userId)`;
  const erasedThrough = database.prepare(
    `SELECT through_received_at_us AS through FROM erased_user_hashes WHERE user_hash = ${hash}`,
  );
  const newestErased = database.prepare(
    "SELECT max(through_received_at_us) AS through FROM erased_user_hashes",
  );
  /** What is received later was received after every erasure: no need to ask. */
  let newestErasedUs = Number(newestErased.get()?.through ?? 0);
  const upsert = database.prepare(`
    INSERT INTO views (user_id, post_id, viewed_at_ms, received_at_us, surface, position, dwell_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (user_id, post_id, viewed_at_ms) DO UPDATE SET
      received_at_us = excluded.received_at_us,
      surface = excluded.surface,
      position = excluded.position,
      dwell_ms = excluded.dwell_ms
    WHERE excluded.received_at_us > views.received_at_us
      OR (excluded.received_at_us = views.received_at_us AND ${DETAILS_ORDER}(
        excluded.surface, excluded.position, excluded.dwell_ms, views.surface, views.position, views.dwell_ms
      ) > 0)`);
  const mark = database.prepare(`
    INSERT INTO erased_user_hashes (user_hash, through_received_at_us) VALUES (${hash}, :throughReceivedAtUs)
    ON CONFLICT (user_hash) DO UPDATE SET
      through_received_at_us = max(through_received_at_us, excluded.through_received_at_us)`);
  const userChunk = database.prepare(`
    SELECT post_id, viewed_at_ms, received_at_us FROM views
    WHERE user_id = ? AND (post_id, viewed_at_ms) > (?, ?)
    ORDER BY post_id, viewed_at_ms LIMIT ?`);
  const chunk = database.prepare(`
    SELECT user_id, post_id, viewed_at_ms FROM views
    WHERE (user_id, post_id, viewed_at_ms) > (?, ?, ?)
    ORDER BY user_id, post_id, viewed_at_ms LIMIT ?`);
  const remove = database.prepare("DELETE FROM views WHERE user_id = ? AND post_id = ? AND viewed_at_ms = ?");
  const forget = database.prepare("DELETE FROM erased_user_hashes WHERE through_received_at_us <= ?");
  const saveErasure = database.prepare(`
    INSERT OR REPLACE INTO erasures (id, user_id, requested_at_us, status, rows_deleted, finished_at_ms)
    VALUES (:id, iif(:status = 'DONE', ${hash}, :userId), :requestedAtUs, :status, :rowsDeleted, :finishedAtMs)`);

  return {
    writeHistory({ userId, views, expiredThroughMs }) {
      const asks = views.some((view) => view.receivedAtUs <= newestErasedUs);
      const through = asks ? Number(erasedThrough.get({ userId })?.through ?? 0) : 0;
      for (const view of views) {
        if (view.receivedAtUs <= through || view.viewedAtMs <= expiredThroughMs) continue;
        const { postId, viewedAtMs, receivedAtUs, surface, position, dwellMs } = view;
        upsert.run(userId, postId, viewedAtMs, receivedAtUs, surface, position, dwellMs);
      }
    },

    markErased({ userId, throughReceivedAtUs }) {
      mark.run({ userId, throughReceivedAtUs });
      newestErasedUs = Math.max(newestErasedUs, throughReceivedAtUs);
    },

    eraseChunk({ userId, reach, after, rows }) {
      // No id is empty, so the empty one stands before all.
      const found = userChunk.all(userId, after?.postId ?? "", after?.viewedAtMs ?? 0, rows);
      let rowsDeleted = 0;
      for (const row of found) {
        if (!isWithin(reach, Number(row.received_at_us))) continue;
        remove.run(userId, row.post_id ?? "", row.viewed_at_ms ?? 0);
        rowsDeleted++;
      }
      const last = found.length === rows ? found.at(-1) : undefined;
      return {
        rowsDeleted,
        next:
          last === undefined ? null : { postId: String(last.post_id), viewedAtMs: Number(last.viewed_at_ms) },
      };
    },

    sweepChunk({ expiredThroughMs, after, rows }) {
      const found = chunk.all(after?.userId ?? "", after?.postId ?? "", after?.viewedAtMs ?? 0, rows);
      let rowsDeleted = 0;
      for (const row of found) {
        if (Number(row.viewed_at_ms) > expiredThroughMs) continue;
        remove.run(row.user_id ?? "", row.post_id ?? "", row.viewed_at_ms ?? 0);
        rowsDeleted++;
      }
      const last = found.length === rows ? found.at(-1) : undefined;
      return {
        rowsDeleted,
        next:
          last === undefined
            ? null
            : {
                userId: String(last.user_id),
                postId: String(last.post_id),
                viewedAtMs: Number(last.viewed_at_ms),
              },
      };
    },

    forgetErased({ throughReceivedAtUs }) {
      forget.run(throughReceivedAtUs);
    },

    saveErasure(erasure) {
      const { id, userId, requestedAtUs, status, rowsDeleted, finishedAtMs } = erasure;
      saveErasure.run({ id, userId, requestedAtUs, status, rowsDeleted, finishedAtMs });
    },
  };
}

/** SQLite takes the number of a function's parameters from its declaration, so they are named. */
function compareColumns(
  surface: unknown,
  position: unknown,
  dwellMs: unknown,
  otherSurface: unknown,
  otherPosition: unknown,
  otherDwellMs: unknown,
): number {
  return compareDetails(
    { surface, position, dwellMs } as Details,
    { surface: otherSurface, position: otherPosition, dwellMs: otherDwellMs } as Details,
  );
}
