import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { types } from "cassandra-driver";
import { expect, onTestFinished, test, vi } from "vitest";
import type { View } from "../../../src/domain/impression.ts";
import { systemClock } from "../../../src/domain/time.ts";
import { migrateScylla } from "../../../src/scylla/schema/migrate.ts";
import { sliceAt } from "../../../src/scylla/slices.ts";
import { runCommand } from "../../kit/service-process.ts";
import { EVERYTHING, walkAll } from "../../kit/views.ts";
import { openEngineOf } from "../../support/open-engine.ts";
import { createOracle } from "../../support/oracle.ts";
import { settingsFor, silentLog } from "../../support/scylla.ts";
import { createSharedInstallation } from "../../support/shared-installation.ts";

/** What 18a2244 made: its migrations, and its export of what five users of it had viewed, resends and versions included. */
const BEFORE_PACKS = fileURLToPath(new URL("../../support/before-packs/", import.meta.url));
const EXPORT = `${BEFORE_PACKS}views.ndjson`;
/** So long that the export's views are not over before the tests are. */
const RETENTION_DAYS = 3_650;
const SLICE_SECONDS = 2_592_000;

interface ExportedLine {
  readonly userId: string;
  readonly postId: string;
  readonly viewedAt: string;
  readonly surface?: string;
  readonly position?: number;
  readonly dwellMs?: number;
  readonly receivedAt: string;
}

const views = readFileSync(EXPORT, "utf8")
  .trim()
  .split("\n")
  .map((line): View => {
    const { userId, postId, viewedAt, surface, position, dwellMs, receivedAt } = JSON.parse(
      line,
    ) as ExportedLine;
    return {
      ...{ userId, postId, viewedAtMs: Date.parse(viewedAt) },
      ...{ surface: surface ?? null, position: position ?? null, dwellMs: dwellMs ?? null },
      receivedAtUs: Date.parse(receivedAt) * 1_000 + Number(receivedAt.slice(-4, -1)),
    };
  });

test("a keyspace of a release before packs is refused untouched, and its export comes over whole", async () => {
  const before = createSharedInstallation();
  onTestFinished(before.dispose);
  const client = before.client();
  await migrateScylla({
    settings: settingsFor(before.keyspace),
    retentionDays: RETENTION_DAYS,
    createKeyspace: { replicationFactor: 1 },
    directory: BEFORE_PACKS,
    clock: systemClock,
    logger: silentLog,
  });
  for (const { userId, postId, viewedAtMs, surface, position, dwellMs, receivedAtUs } of views) {
    const at = new Date(viewedAtMs);
    const slice = new Date(sliceAt(viewedAtMs, SLICE_SECONDS).startMs);
    const written = types.Long.fromNumber(receivedAtUs);
    const insert = (into: string, values: readonly unknown[]) => {
      const marks = values.map(() => "?").join(", ");
      const cql = `INSERT INTO ${before.keyspace}.${into} VALUES (${marks}) USING TIMESTAMP ?`;
      return client.execute(cql, [...values, written], { prepare: true });
    };
    const details = { surface, position, dwell_ms: dwellMs };
    await insert("posts_by_user (user_id, viewed_at, post_id)", [userId, at, postId]);
    await insert("views_by_user_post (user_id, post_id, viewed_at, details)", [userId, postId, at, details]);
    await insert("viewers_by_post (post_id, slice_seconds, slice_start, shard, viewed_at, user_id)", [
      ...[postId, SLICE_SECONDS, slice, 0, at, userId],
    ]);
  }
  const contents = async () => {
    const { rows } = await client.execute(
      "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?",
      [before.keyspace],
    );
    const tables = rows.map((row) => String(row.get("table_name"))).sort();
    const texts = tables.map(async (table) => {
      const found = await client.execute(`SELECT JSON * FROM ${before.keyspace}.${table}`, [], {
        fetchSize: 10_000,
      });
      return [table, found.rows.map((row) => String(row.get("[json]")))] as const;
    });
    return Object.fromEntries(await Promise.all(texts));
  };
  const untouched = await contents();
  expect(untouched.views_by_user_post).toHaveLength(views.length);

  const retention = { RETENTION_DAYS: String(RETENTION_DAYS) };
  const commands = [
    "migrate",
    "migrate --dry-run",
    "api",
    "worker",
    "serve",
    "doctor",
    "export -",
    `import ${EXPORT}`,
  ];
  for (const command of commands) {
    const environment = { ...before.environment, ...retention, PORT: "0" };
    const { code, stdout, stderr } = await runCommand(environment, ...command.split(" "));
    expect(`${stdout}${stderr}`, command).toContain("the keyspace was prepared by a release before packs");
    expect(`${stdout}${stderr}`, command).toContain("impressions import views.ndjson.gz");
    expect(code, command).toBe(1);
  }
  expect(await contents()).toEqual(untouched);

  const moved = createSharedInstallation();
  onTestFinished(moved.dispose);
  const environment = { ...moved.environment, ...retention };
  expect(await runCommand(environment, "migrate", "--create-keyspace", "1")).toMatchObject({ code: 0 });
  await moved.start("worker", retention);
  expect(await runCommand(environment, "import", EXPORT)).toMatchObject({ code: 0 });

  const { store, close } = await openEngineOf(environment);
  onTestFinished(close);
  const oracle = createOracle();
  for (const view of views) oracle.add(view);
  const all = async () => (await store.scan(null, 1_000)).views;
  await vi.waitFor(async () => expect(await all()).toHaveLength(views.length), {
    timeout: 60_000,
    interval: 100,
  });
  // Every view, with what it says and when it was received.
  const byIdentity = (some: readonly View[]) =>
    some.map((view) => JSON.stringify(Object.entries(view).sort())).sort();
  expect(byIdentity(await all())).toEqual(byIdentity(views));
  for (const userId of new Set(views.map((view) => view.userId))) {
    const request = { ownerId: userId, window: EVERYTHING, limit: 7 };
    expect(await walkAll(store.seenPosts, request)).toEqual(oracle.seenPosts(userId, EVERYTHING));
  }
  for (const postId of new Set(views.map((view) => view.postId))) {
    const request = { ownerId: postId, window: EVERYTHING, limit: 3 };
    expect(await walkAll(store.postViewers, request)).toEqual(oracle.postViewers(postId, EVERYTHING));
  }
});
