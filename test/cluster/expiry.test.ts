import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { DAY_MS, systemClock } from "../../src/domain/time.ts";
import { openScyllaStore } from "../../src/scylla/open.ts";
import { migrateScylla } from "../../src/scylla/schema/migrate.ts";
import { createRandom } from "../kit/random.ts";
import { EVERYTHING, recordViews, viewOf, walkAll } from "../kit/views.ts";
import { startCassandra } from "../servers/cassandra.ts";
import { jmxOption, nodetool } from "../servers/nodetool.ts";
import { freeBasePort } from "../servers/ports.ts";
import { createOracle } from "../support/oracle.ts";
import { connectTo, newKeyspaceName, silentLog } from "../support/scylla.ts";

const RETENTION_DAYS = 1;
const RETENTION_MS = RETENTION_DAYS * DAY_MS;
const USERS = ["u0", "u1", "u2"];
const POSTS = ["p0", "p1", "p2", "p3"];
const VIEWS = 300;
/** Views end at so many instants, so far apart: a pack before its viewers rows, after them, or between them. */
const ENDS = 10;
const BETWEEN_ENDS_MS = 3_000;
const FIRST_END_MS = 6_000;
/** The database counts in whole seconds, and may end a row so much earlier. */
const EARLIER_MS_MAX = 1_000;

/**
 * A pack ends with its newest view, a viewers row with its own, to the second: what is left of a submission at some instant is
 * any part of it. The reads go by the clock, and must show none of that.
 */
test("packs and viewers rows that end in any order are never seen to, and free the disk", async () => {
  const jmxPort = await freeBasePort(["127.0.0.1"], [0]);
  const cassandra = await startCassandra({ jvmOptions: [jmxOption(jmxPort)] });
  onTestFinished(() => cassandra.stop());
  const settings = {
    contactPoints: cassandra.contactPoints,
    localDataCenter: cassandra.localDataCenter,
    keyspace: newKeyspaceName(),
    requestTimeoutMs: 30_000,
  };
  const common = { retentionDays: RETENTION_DAYS, clock: systemClock, logger: silentLog };
  await migrateScylla({ settings, ...common, createKeyspace: { replicationFactor: 1 } });
  const client = await connectTo(settings, settings.keyspace);
  onTestFinished(() => client.shutdown());
  const { store } = await openScyllaStore({
    ...settings,
    ...common,
    inFlightMax: 64,
    waitForConnection: true,
  });
  onTestFinished(() => store.close());

  const random = createRandom(11);
  const startMs = systemClock.nowMs();
  const endsOfViews = Array.from(
    { length: ENDS },
    (_, end) => startMs + FIRST_END_MS + end * BETWEEN_ENDS_MS,
  );
  const lastEndMs = Math.max(...endsOfViews);
  // Submissions of which most views are over when the newest has seconds to live.
  const views = Array.from({ length: VIEWS }, (_, index) => {
    const endsMs = random.pick(endsOfViews);
    return viewOf({
      userId: random.pick(USERS),
      postId: random.pick(POSTS),
      viewedAtMs: endsMs - RETENTION_MS,
      receivedAtUs: (startMs - RETENTION_MS) * 1_000 + (index % 20),
    });
  });
  const oracle = createOracle();
  for (const view of views) oracle.add(view);
  await recordViews(store, views);

  let checks = 0;
  /** Compares what is read with what is not over yet; not where something ended, or may have, while it was read. */
  async function check<Answer>(
    read: () => Promise<Answer>,
    expected: (sinceMs: number) => Answer,
  ): Promise<void> {
    const beganMs = systemClock.nowMs();
    const answer = await read();
    const endedMs = systemClock.nowMs();
    if (endsOfViews.some((end) => end >= beganMs && end <= endedMs + EARLIER_MS_MAX)) return;
    expect(answer).toEqual(expected(beganMs - RETENTION_MS + 1));
    checks++;
  }
  while (systemClock.nowMs() < lastEndMs) {
    for (const userId of USERS) {
      await check(
        async () =>
          (await store.seenPosts({ ownerId: userId, window: EVERYTHING, after: null, limit: 50 })).rows,
        (sinceMs) => oracle.seenPosts(userId, { ...EVERYTHING, sinceMs }),
      );
      await check(
        () => store.seenAmong(userId, POSTS, { minViews: 1, minDwellMs: 0, sinceMs: 0 }),
        (sinceMs) => oracle.seenAmong(userId, POSTS, { minViews: 1, minDwellMs: 0, sinceMs }),
      );
    }
    for (const postId of POSTS)
      await check(
        async () =>
          (await store.postViewers({ ownerId: postId, window: EVERYTHING, after: null, limit: 50 })).rows,
        (sinceMs) => oracle.postViewers(postId, { ...EVERYTHING, sinceMs }),
      );
  }
  expect(checks).toBeGreaterThan(0);
  for (const userId of USERS)
    expect(await walkAll(store.seenPosts, { ownerId: userId, window: EVERYTHING, limit: 5 })).toEqual([]);

  // What has ended stays on the disk for gc_grace_seconds; without that a compaction frees it.
  const tables = ["user_packs", "viewers_by_post"];
  for (const table of tables) await client.execute(`ALTER TABLE ${table} WITH gc_grace_seconds = 0`);
  await vi.waitFor(
    async () => {
      for (const table of tables) {
        const { rows } = await client.execute(`SELECT count(*) AS n FROM ${table}`);
        expect(Number(rows[0]?.get("n")), table).toBe(0);
      }
    },
    { timeout: 60_000, interval: 500 },
  );
  await nodetool(jmxPort, "flush", settings.keyspace);
  await nodetool(jmxPort, "compact", settings.keyspace);
  const data = join(cassandra.dataDirectory, "cassandra-1", "data", settings.keyspace);
  await vi.waitFor(
    () => {
      for (const table of tables) expect(bytesOf(data, table), table).toBe(0);
    },
    { timeout: 60_000, interval: 500 },
  );
});

/** Bytes of a table in SSTables. */
function bytesOf(keyspaceDirectory: string, table: string): number {
  return readdirSync(keyspaceDirectory)
    .filter((name) => name.startsWith(`${table}-`))
    .flatMap((name) => readdirSync(join(keyspaceDirectory, name), { withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith("-Data.db"))
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
