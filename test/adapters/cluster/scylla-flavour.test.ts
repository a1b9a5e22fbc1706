import { afterEach, beforeEach, describe, expect, inject, it, onTestFinished } from "vitest";
import { systemClock } from "../../../src/domain/time.ts";
import type { WalkPage, WalkRequest } from "../../../src/domain/walk.ts";
import { diagnoseScylla } from "../../../src/scylla/doctor.ts";
import { flavourText, readFlavour } from "../../../src/scylla/flavour.ts";
import { openScyllaStore } from "../../../src/scylla/open.ts";
import { migrateScylla } from "../../../src/scylla/schema/migrate.ts";
import { readMigrations } from "../../../src/scylla/schema/migration-files.ts";
import { EVERYTHING, recordViews, viewOf } from "../../kit/views.ts";
import { type ScyllaProxy, startScyllaProxy } from "../../servers/scylla-proxy.ts";
import {
  connectTo,
  newKeyspaceName,
  RETENTION_DAYS,
  settingsFor,
  silentLog,
  storeOptions,
} from "../../support/scylla.ts";

const REPAIR = "{'mode': 'repair', 'propagation_delay_in_seconds': '864000'}";

/** Every table of a keyspace: what the migrations create, and their history. */
const TABLES = [
  ...readMigrations().flatMap(({ text }) =>
    [...text.matchAll(/CREATE TABLE IF NOT EXISTS (\w+)/g)].map(([, table = ""]) => table),
  ),
  "schema_migrations",
].sort();

describe("the real database of the tests", () => {
  it("is known by its name and version", async () => {
    const client = await connectTo(settingsFor("system"));
    onTestFinished(() => client.shutdown());
    expect(flavourText(await readFlavour(client))).toMatch(/^(Cassandra 5|ScyllaDB 20)\d*\./);
  });
});

/** A whole walk over what was seen since an instant, in pages of 7. */
async function walkAll<Row>(
  page: (request: WalkRequest) => Promise<WalkPage<Row>>,
  ownerId: string,
  sinceMs: number,
): Promise<Row[]> {
  const rows: Row[] = [];
  let request: WalkRequest = { ownerId, window: { ...EVERYTHING, sinceMs }, after: null, limit: 7 };
  for (;;) {
    const { rows: found, boundMs, next } = await page(request);
    rows.push(...found);
    if (next === null) return rows;
    request = { ...request, window: { sinceMs, untilMs: boundMs }, after: next };
  }
}

// As far as it can be told without one: a real Cassandra that answers as ScyllaDB's source says (test/support/scylla-proxy).
describe("a database that answers as ScyllaDB", () => {
  let keyspace: string;

  beforeEach(() => {
    keyspace = newKeyspaceName();
  });
  afterEach(async () => {
    const client = await connectTo(settingsFor("system"));
    await client.execute(`DROP KEYSPACE IF EXISTS ${keyspace}`);
    await client.shutdown();
  });

  async function proxied(replicas = 1): Promise<ScyllaProxy> {
    const proxy = await startScyllaProxy(inject("scyllaContactPoints")[0] ?? "", { replicas });
    onTestFinished(() => proxy.close());
    return proxy;
  }

  const settingsOf = ({ address }: ScyllaProxy) => ({ ...settingsFor(keyspace), contactPoints: [address] });

  const migrate = (proxy: ScyllaProxy, given: { readonly dryRun?: boolean } = {}) =>
    migrateScylla({
      settings: settingsOf(proxy),
      retentionDays: RETENTION_DAYS,
      clock: systemClock,
      createKeyspace: { replicationFactor: 1 },
      logger: silentLog,
      ...given,
    });

  const doctor = async (proxy: ScyllaProxy) => {
    const findings = await diagnoseScylla({
      settings: settingsOf(proxy),
      retentionDays: RETENTION_DAYS,
      clock: systemClock,
      logger: silentLog,
    });
    return Object.fromEntries(findings.map(({ check, result, detail }) => [check, `${result}: ${detail}`]));
  };

  it("is migrated: with several replicas every table waits for a repair, and is left alone the next time", async () => {
    const proxy = await proxied(3);
    const steps = await migrate(proxy);
    const tables = steps.filter(({ action }) => action === "set tombstone_gc").map(({ what }) => what);
    expect(tables).toEqual(TABLES);
    expect([...proxy.tombstoneGc]).toEqual(TABLES.map((table) => [table, REPAIR]));
    expect(await migrate(proxy, { dryRun: true })).toEqual([]);
    proxy.tombstoneGc.delete("erasures");
    expect(await migrate(proxy, { dryRun: true })).toEqual([
      { action: "set tombstone_gc", what: "erasures" },
    ]);
  });

  it("is migrated: one replica is not made to wait for a repair, which is refused there", async () => {
    const proxy = await proxied();
    expect((await migrate(proxy)).map(({ action }) => action)).not.toContain("set tombstone_gc");
    // The value from the time when the keyspace had more replicas.
    proxy.tombstoneGc.set("erasures", REPAIR);
    expect((await doctor(proxy))["store purge"]).toMatch(
      /^warning: erasures: tombstone_gc is not what 1 replicas/,
    );
    expect(await migrate(proxy)).toEqual([{ action: "set tombstone_gc", what: "erasures" }]);
    expect(proxy.tombstoneGc.get("erasures")).toBe("{'mode': 'timeout'}");
    const findings = await doctor(proxy);
    expect(findings.store).toMatch(
      /^ok: 1 node of ScyllaDB 2026\.1\.4 in \w+; SCYLLA_CONNECTIONS_PER_HOST=1/,
    );
    expect(findings["store purge"]).toBe("ok: by tombstone_gc; one replica needs no repair");
  });

  it("serves walks and questions, and erases, with nothing that ScyllaDB would answer otherwise", async () => {
    const proxy = await proxied();
    await migrate(proxy);
    const lines: string[] = [];
    const { store, flavour } = await openScyllaStore({
      ...storeOptions(keyspace),
      ...settingsOf(proxy),
      logger: { ...silentLog, info: (_fields, text) => lines.push(text) },
    });
    onTestFinished(() => store.close());
    expect(flavour()).toEqual({ database: "ScyllaDB", version: "2026.1.4" });
    expect(lines).toContain("the store is ScyllaDB 2026.1.4");

    // Many viewers and posts in one instant: the places of a walk lie in the first millisecond of its window.
    const viewedAtMs = systemClock.nowMs() - 60_000;
    const users = Array.from({ length: 30 }, (_, index) => `user-${index}`);
    const posts = Array.from({ length: 30 }, (_, index) => `post-${index}`);
    await recordViews(store, [
      ...users.map((userId) => viewOf({ userId, postId: "hot", viewedAtMs })),
      ...posts.map((postId) => viewOf({ userId: "ann", postId, viewedAtMs })),
    ]);
    expect(
      (await walkAll(store.postViewers, "hot", viewedAtMs)).map(({ userId }) => userId).toSorted(),
    ).toEqual(users.toSorted());
    expect(
      (await walkAll(store.seenPosts, "ann", viewedAtMs)).map(({ postId }) => postId).toSorted(),
    ).toEqual(posts.toSorted());

    const rule = { minViews: 1, minDwellMs: 0, sinceMs: 0 };
    expect(await store.seenAmong("ann", ["post-1", "never"], rule)).toEqual(new Set(["post-1"]));
    await store.eraseUser("ann", systemClock.nowMs() * 1_000);
    expect(await store.seenAmong("ann", posts, rule)).toEqual(new Set());
    expect(proxy.refused).toEqual([]);
  });
});
