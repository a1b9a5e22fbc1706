import { createConnection } from "mariadb";
import { startMariaDbServer } from "../../test/servers/mariadb.ts";

/** Much smaller than the table, as a table of impressions is on any machine in the end. */
export const BUFFER_POOL_MB = 32;
const DATABASE = "impressions";

/** A MariaDB of the bench's own. */
export interface MariaDb {
  readonly socketPath: string;
  readonly database: string;
  readonly version: string;
  /** Of the table of impressions. */
  readonly tableMb: number;
  stop(): Promise<void>;
}

/**
 * Starts Debian's server on a temporary directory, every transaction synced to disk, and fills its table.
 *
 * @returns null where the server is not installed.
 */
export async function startMariaDb(rows: number): Promise<MariaDb | null> {
  const server = await startMariaDbServer([
    "--innodb-flush-log-at-trx-commit=1",
    "--log-bin",
    "--sync-binlog=1",
    `--innodb-buffer-pool-size=${BUFFER_POOL_MB}M`,
    "--innodb-log-file-size=256M",
  ]);
  if (server === null) return null;
  const { socketPath, version, stop } = server;
  try {
    const tableMb = await fill(socketPath, rows);
    return { socketPath, database: DATABASE, version, tableMb, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The table that people would make; its rows spread over users and posts as those of the load do. */
async function fill(socketPath: string, rows: number): Promise<number> {
  const connection = await createConnection({ socketPath, user: "root" });
  try {
    await connection.query(`CREATE DATABASE ${DATABASE}`);
    await connection.query(`USE ${DATABASE}`);
    await connection.query(`CREATE TABLE impressions (
      id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
      user_id VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
      post_id VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
      viewed_at DATETIME(3) NOT NULL,
      surface VARCHAR(64) NULL,
      position INT NULL,
      dwell_ms INT NULL
    ) ENGINE=InnoDB`);
    // The initial rows need not be durable; keys are built at once, from sorted rows.
    await connection.query("SET sql_log_bin = 0");
    await connection.query(
      `INSERT INTO impressions (user_id, post_id, viewed_at, surface, position, dwell_ms)
       SELECT CONCAT('user-', LPAD(CRC32(seq) % 20000, 7, '0')), CONCAT('post-', LPAD(CRC32(-seq) % 5000, 6, '0')),
              NOW(3) - INTERVAL seq SECOND, 'HOME', seq % 10, 1800
       FROM seq_1_to_${rows}`,
    );
    await connection.query(`ALTER TABLE impressions
      ADD UNIQUE KEY view (user_id, post_id, viewed_at), ADD KEY viewers (post_id, viewed_at)`);
    const [size] = (await connection.query(
      `SELECT (data_length + index_length) / 1048576 AS mb FROM information_schema.tables
       WHERE table_schema = '${DATABASE}' AND table_name = 'impressions'`,
    )) as { mb: string }[];
    return Number(size?.mb);
  } finally {
    await connection.end();
  }
}
