/**
 * Every CQL statement that the store sends, by name; settings.ts has the driver prepare them and take them as idempotent.
 * (DDL is in migrations/ and migrate.ts.) Each reads or writes single partitions, but for those that are marked.
 *
 * Portable to Apache Cassandra 5 and ScyllaDB, and held by test/unit/statements-portable.test.ts: no filtering, no secondary
 * index, no lightweight transaction, no counter. Where a range has a bound that is a pair, the other bound is a pair too:
 * ScyllaDB refuses a mix with a plain column, and takes bounds of other lengths for an empty range where both lie in one
 * instant (utils/interval.hh). Nothing is grouped or counted in the database: how long that takes depends on how often
 * something was viewed.
 */
export interface Statement {
  /** query: what a reader of the API asks, at the configured consistency. The store's own reads are LOCAL_QUORUM always. */
  readonly kind: "query" | "read" | "write";
  readonly cql: string;
}

const PACK_COLUMNS = "newest_at, pack_id, pack, WRITETIME(pack) AS received_at_us";
const VIEWER_PARTITION = "post_id = ? AND slice_seconds = ? AND slice_start = ? AND shard = ?";

/** Ids in one IN on a clustering column: ScyllaDB's limit (max_clustering_key_restrictions_per_query). */
export const CLUSTERING_IDS_MAX = 100;
/** Partitions in one IN: each is asked of other replicas; beyond this the slowest of them decides. Measured. */
export const PARTITIONS_PER_QUERY_MAX = 25;

export const STATEMENTS = {
  // Views. Write timestamp: receivedAt in microseconds. TTL: what is left of the retention; of a pack's newest view.
  insertViewer: {
    kind: "write",
    cql: `INSERT INTO viewers_by_post (post_id, slice_seconds, slice_start, shard, viewed_at, user_id)
          VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?`,
  },
  insertPack: {
    kind: "write",
    cql: "INSERT INTO user_packs (user_id, newest_at, pack_id, pack) VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?",
  },

  // Which slices a post has.
  insertSliceMarker: {
    kind: "write",
    cql: "INSERT INTO viewer_slices (post_id, slice_seconds, slice_start) VALUES (?, ?, ?) USING TTL ?",
  },
  readSliceMarkers: {
    kind: "query",
    cql: `SELECT slice_start FROM viewer_slices
          WHERE post_id = ? AND slice_seconds = ? AND slice_start < ? AND slice_start > ? LIMIT ?`,
  },
  /** The one read before a write that is allowed: a hint, once for each slice that a process comes to. */
  hintFinerSlice: {
    kind: "read",
    cql: `SELECT slice_start FROM viewer_slices
          WHERE post_id = ? AND slice_seconds = ? AND slice_start >= ? AND slice_start < ? LIMIT 1`,
  },
  /** Several partitions: those of one post's four slice lengths. */
  findSlices: {
    kind: "read",
    cql: `SELECT slice_seconds, slice_start FROM viewer_slices
          WHERE post_id = ? AND slice_seconds IN ? AND slice_start IN ?`,
  },

  // A walk from the top begins at the position (end of the window, ''), and every walk ends at (begin of the window, '').
  readViewers: {
    kind: "query",
    cql: `SELECT viewed_at, user_id FROM viewers_by_post
          WHERE ${VIEWER_PARTITION} AND (viewed_at, user_id) < (?, ?) AND (viewed_at, user_id) >= (?, ?) LIMIT ?`,
  },

  readOldestViewer: {
    kind: "query",
    cql: `SELECT viewed_at FROM viewers_by_post
          WHERE ${VIEWER_PARTITION} AND viewed_at >= ? ORDER BY viewed_at ASC, user_id ASC LIMIT 1`,
  },

  // Histories. A view of some instant stands in a pack whose newest_at is that instant, or up to 15 minutes later.
  readPacks: {
    kind: "query",
    cql: `SELECT ${PACK_COLUMNS} FROM user_packs WHERE user_id = ? AND newest_at < ? AND newest_at >= ?`,
  },
  /** Several partitions: one for each user asked about. */
  readPacksOfUsers: {
    kind: "query",
    cql: `SELECT user_id, ${PACK_COLUMNS} FROM user_packs
          WHERE user_id IN ? AND newest_at < ? AND newest_at >= ?`,
  },

  // Export: the whole ring, partition after partition.
  scanFirst: {
    kind: "query",
    cql: `SELECT user_id, ${PACK_COLUMNS} FROM user_packs LIMIT ?`,
  },
  scanLaterUsers: {
    kind: "query",
    cql: `SELECT user_id, ${PACK_COLUMNS} FROM user_packs WHERE token(user_id) > token(?) LIMIT ?`,
  },

  // Erasure. Write timestamp: the instant through which the user is erased, in microseconds.
  readHistory: {
    kind: "read",
    cql: `SELECT ${PACK_COLUMNS} FROM user_packs WHERE user_id = ?`,
  },
  deleteViewer: {
    kind: "write",
    cql: `DELETE FROM viewers_by_post USING TIMESTAMP ?
          WHERE ${VIEWER_PARTITION} AND viewed_at = ? AND user_id = ?`,
  },
  deleteHistory: {
    kind: "write",
    cql: "DELETE FROM user_packs USING TIMESTAMP ? WHERE user_id = ?",
  },
  deletePack: {
    kind: "write",
    cql: "DELETE FROM user_packs USING TIMESTAMP ? WHERE user_id = ? AND newest_at = ? AND pack_id = ?",
  },
  insertErasedUser: {
    kind: "write",
    cql: `INSERT INTO erased_users (period, recorded_at, user_hash, through_received_at_us)
          VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?`,
  },
  readErasedUsers: {
    kind: "read",
    cql: "SELECT user_hash, through_received_at_us FROM erased_users WHERE period = ? AND recorded_at >= ?",
  },
  /** What releases before 0005 have recorded, and still do beside this one. */
  readErasedUserIds: {
    kind: "read",
    cql: "SELECT user_id, through_received_at_us FROM erasures WHERE recorded_day = ? AND recorded_at >= ?",
  },
  readUserHashKeys: {
    kind: "read",
    cql: "SELECT id, key FROM user_hash_keys WHERE scope = ? LIMIT ?",
  },
  insertUserHashKey: {
    kind: "write",
    cql: "INSERT INTO user_hash_keys (scope, id, key) VALUES (?, ?, ?) USING TIMESTAMP ?",
  },

  // Receipts. Write timestamp: requestedAt plus the rank of the status, so that a later status wins on every host.
  saveReceipt: {
    kind: "write",
    cql: `INSERT INTO erasure_receipts (id, user_id, requested_at_us, status, rows_deleted, finished_at)
          VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?`,
  },
  findReceipt: {
    kind: "read",
    cql: `SELECT id, user_id, requested_at_us, status, rows_deleted, finished_at FROM erasure_receipts
          WHERE id = ?`,
  },
  insertUnfinished: {
    kind: "write",
    cql: "INSERT INTO unfinished_erasures (bucket, requested_at_us, id) VALUES (?, ?, ?) USING TIMESTAMP ?",
  },
  deleteUnfinished: {
    kind: "write",
    cql: "DELETE FROM unfinished_erasures USING TIMESTAMP ? WHERE bucket = ? AND requested_at_us = ? AND id = ?",
  },
  readUnfinished: {
    kind: "read",
    cql: "SELECT requested_at_us, id FROM unfinished_erasures WHERE bucket = ? LIMIT ?",
  },

  // Who works at an erasure; the TTL is the lease.
  readClaims: {
    kind: "read",
    cql: "SELECT holder FROM erasure_claims WHERE id = ? LIMIT ?",
  },
  insertClaim: {
    kind: "write",
    cql: "INSERT INTO erasure_claims (id, holder) VALUES (?, ?) USING TTL ?",
  },
  deleteClaim: {
    kind: "write",
    cql: "DELETE FROM erasure_claims WHERE id = ? AND holder = ?",
  },
} as const satisfies Record<string, Statement>;

export type StatementName = keyof typeof STATEMENTS;

type NameOf<Kind extends Statement["kind"]> = {
  [Name in StatementName]: (typeof STATEMENTS)[Name]["kind"] extends Kind ? Name : never;
}[StatementName];

export type ReadName = NameOf<"query" | "read">;
export type WriteName = NameOf<"write">;
