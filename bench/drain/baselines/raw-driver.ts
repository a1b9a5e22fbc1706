// What people would write: for each view three prepared INSERTs, each sent by itself, so many on their way at once. A
// process of its own; takes orders by message and answers with the milliseconds that the writing took.

import { Client, concurrent, types } from "cassandra-driver";
import { sliceAt } from "../../../src/scylla/slices.ts";
import { STATEMENTS } from "../../../src/scylla/statements.ts";
import { submissionOf } from "../../support/traffic.ts";
import type { Mutations } from "../backlog.ts";

export interface WriteOrder extends Mutations {
  readonly concurrency: number;
}

const TTL_SECONDS = 90 * 86_400;
/** The length of the coarsest slices, which hold all views of a post without finer ones. */
const SLICE_SECONDS = 2_592_000;

/** The tables of a user's views that people would make, beside the service's own of a post's viewers. */
const TABLES = [
  "CREATE TYPE IF NOT EXISTS raw_details (surface text, position int, dwell_ms int)",
  `CREATE TABLE IF NOT EXISTS raw_timeline (user_id text, viewed_at timestamp, post_id text,
    PRIMARY KEY ((user_id), viewed_at, post_id)) WITH CLUSTERING ORDER BY (viewed_at DESC, post_id DESC)
    AND compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'HOURS', 'compaction_window_size': '72'}`,
  `CREATE TABLE IF NOT EXISTS raw_membership (user_id text, post_id text, viewed_at timestamp,
    details frozen<raw_details>, PRIMARY KEY ((user_id), post_id, viewed_at))
    WITH CLUSTERING ORDER BY (post_id ASC, viewed_at DESC) AND compaction = {'class': 'LeveledCompactionStrategy'}`,
];
const INSERT_TIMELINE =
  "INSERT INTO raw_timeline (user_id, viewed_at, post_id) VALUES (?, ?, ?) USING TIMESTAMP ? AND TTL ?";
const INSERT_MEMBERSHIP = `INSERT INTO raw_membership (user_id, viewed_at, post_id, details)
  VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?`;

const { SCYLLA_CONTACT_POINTS = "", SCYLLA_LOCAL_DC = "", SCYLLA_KEYSPACE = "" } = process.env;
const client = new Client({
  contactPoints: SCYLLA_CONTACT_POINTS.split(","),
  localDataCenter: SCYLLA_LOCAL_DC,
  keyspace: SCYLLA_KEYSPACE,
  queryOptions: { consistency: types.consistencies.localQuorum },
});
await client.connect();
for (const table of TABLES) await client.execute(table);

process.on("message", async ({ concurrency, ...mutations }: WriteOrder) => {
  const statements = statementsOf(mutations);
  const startedMs = performance.now();
  await concurrent.executeConcurrent(client, statements, { concurrencyLevel: concurrency });
  process.send?.(performance.now() - startedMs);
});
process.send?.("ready");

function statementsOf({ traffic, first, count, endMs }: Mutations): { query: string; params: unknown[] }[] {
  const statements: { query: string; params: unknown[] }[] = [];
  for (let mutation = first; mutation < first + count; mutation++) {
    const { userId, receivedAtUs, impressions } = submissionOf(mutation, traffic, endMs);
    const using = [types.Long.fromNumber(receivedAtUs), TTL_SECONDS];
    for (const { postId, viewedAtMs, surface, position, dwellMs } of impressions) {
      const viewedAt = new Date(viewedAtMs);
      const sliceStart = new Date(sliceAt(viewedAtMs, SLICE_SECONDS).startMs);
      statements.push(
        {
          query: STATEMENTS.insertViewer.cql,
          params: [postId, SLICE_SECONDS, sliceStart, 0, viewedAt, userId, ...using],
        },
        { query: INSERT_TIMELINE, params: [userId, viewedAt, postId, ...using] },
        {
          query: INSERT_MEMBERSHIP,
          params: [userId, viewedAt, postId, { surface, position, dwell_ms: dwellMs }, ...using],
        },
      );
    }
  }
  return statements;
}
