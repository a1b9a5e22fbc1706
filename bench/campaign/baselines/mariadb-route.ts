// The route that people would write on the database that is there: the same JSON, one INSERT of all its rows, durable
// when it is answered.

import { createPool } from "mariadb";
import { serveBareRoute } from "../../ingest/baselines/fastify.ts";

const CONNECTIONS = 32;
/** In a burst requests wait for a connection. */
const ACQUIRE_TIMEOUT_MS = 60_000;
const COLUMNS = 6;

const { MARIADB_SOCKET = "", MARIADB_DATABASE = "" } = process.env;
const pool = createPool({
  socketPath: MARIADB_SOCKET,
  user: "root",
  database: MARIADB_DATABASE,
  connectionLimit: CONNECTIONS,
  acquireTimeout: ACQUIRE_TIMEOUT_MS,
});

await serveBareRoute(async ({ userId, impressions }) => {
  const rows = impressions.map(() => `(${Array(COLUMNS).fill("?").join(",")})`).join(",");
  const values = impressions.flatMap(({ postId, viewedAt, surface, position, dwellMs }) => [
    userId,
    postId,
    new Date(String(viewedAt)),
    surface ?? null,
    position ?? null,
    dwellMs ?? null,
  ]);
  await pool.execute(
    `INSERT IGNORE INTO impressions (user_id, post_id, viewed_at, surface, position, dwell_ms) VALUES ${rows}`,
    values,
  );
  return { accepted: impressions.length, receivedAt: Date.now(), flushAfterMs: 0 };
});
