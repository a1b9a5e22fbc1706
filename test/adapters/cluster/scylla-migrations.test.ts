import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "cassandra-driver";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../../src/domain/time.ts";
import { EngineStartError } from "../../../src/ports/errors.ts";
import { openScyllaStore } from "../../../src/scylla/open.ts";
import { type MigrateOptions, migrateScylla } from "../../../src/scylla/schema/migrate.ts";
import { MIGRATIONS_DIRECTORY, readMigrations } from "../../../src/scylla/schema/migration-files.ts";
import { connectTo, newKeyspaceName, settingsFor, silentLog, storeOptions } from "../../support/scylla.ts";

const FILES = readMigrations().map(({ name }) => name);
const createKeyspace = { replicationFactor: 1 };

interface Database {
  readonly keyspace: string;
  readonly client: Client;
  migrate(given?: Partial<MigrateOptions>): ReturnType<typeof migrateScylla>;
  /** The schema as the database describes it: the ids of its tables, their options, and the history. */
  describe(): Promise<{ tables: Map<string, Record<string, unknown>>; history: Record<string, unknown>[] }>;
}

/** A keyspace of this test's own, not created yet. */
async function newDatabase(): Promise<Database> {
  const keyspace = newKeyspaceName();
  const settings = settingsFor(keyspace);
  const client = await connectTo(settings, "system");
  onTestFinished(async () => {
    await client.execute(`DROP KEYSPACE IF EXISTS ${keyspace}`);
    await client.shutdown();
  });
  return {
    keyspace,
    client,
    migrate: (given = {}) =>
      migrateScylla({
        settings,
        retentionDays: 90,
        clock: systemClock,
        createKeyspace,
        logger: silentLog,
        ...given,
      }),
    async describe() {
      const tables = await client.execute(
        "SELECT table_name, id, compaction, default_time_to_live, gc_grace_seconds FROM system_schema.tables WHERE keyspace_name = ?",
        [keyspace],
      );
      const history = tables.rows.some((row) => row.get("table_name") === "schema_migrations")
        ? (await client.execute(`SELECT * FROM ${keyspace}.schema_migrations`)).rows
        : [];
      return {
        tables: new Map(tables.rows.map((row) => [String(row.get("table_name")), { ...row }])),
        history: history.map((row) => ({ ...row })),
      };
    },
  };
}

/** A copy of the migrations that a test may change. */
function copiedMigrations(): string {
  const directory = mkdtempSync(join(tmpdir(), "impressions-migrations-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  cpSync(MIGRATIONS_DIRECTORY, directory, { recursive: true });
  return directory;
}

describe("migrate", () => {
  it("prepares an empty database, says what it did, and then finds nothing to do", async () => {
    const database = await newDatabase();
    const steps = await database.migrate();
    expect(steps.map(({ action }) => action)).toEqual(["create keyspace", ...FILES.map(() => "apply")]);
    expect(steps[3]?.what).toMatch(/^0003_retention \(RETENTION_SECONDS=7776000 TIME_WINDOW_HOURS=72 /);
    expect(await database.migrate()).toEqual([]);
    const { tables, history } = await database.describe();
    expect(history).toHaveLength(FILES.length);
    for (const name of ["viewers_by_post"]) {
      expect(tables.get(name)).toMatchObject({
        default_time_to_live: 7_776_000,
        gc_grace_seconds: 864_000,
        compaction: expect.objectContaining({
          class: expect.stringMatching(/TimeWindow/),
          compaction_window_unit: "HOURS",
          compaction_window_size: "72",
        }),
      });
    }
  });

  it("run by four at once on an empty database makes one schema, and all succeed", async () => {
    const database = await newDatabase();
    await Promise.all(Array.from({ length: 4 }, () => database.migrate()));
    const { tables, history } = await database.describe();
    expect(history).toHaveLength(FILES.length);
    expect(await database.migrate()).toEqual([]);
    // No runner created a table twice, and every table works.
    expect((await database.describe()).tables).toEqual(tables);
    const { store } = await openScyllaStore(storeOptions(database.keyspace));
    onTestFinished(() => store.close());
    expect(await store.health()).toEqual({ healthy: true });
    expect(await store.unfinishedErasures()).toEqual([]);
  });

  it("goes on after a crash between a statement and its record", async () => {
    const database = await newDatabase();
    await database.migrate();
    await database.client.execute(
      `DELETE FROM ${database.keyspace}.schema_migrations WHERE scope = 'impressions' AND version = 2`,
    );
    const before = await database.describe();
    expect((await database.migrate()).map(({ what }) => what)).toEqual(["0002_erasures"]);
    const after = await database.describe();
    expect(after.tables).toEqual(before.tables);
    expect(after.history).toHaveLength(FILES.length);
  });

  it("changes nothing in a dry run, and says what it would do", async () => {
    const database = await newDatabase();
    const would = await database.migrate({ dryRun: true });
    expect(await database.describe()).toEqual({ tables: new Map(), history: [] });
    expect(would).toEqual(await database.migrate());
    const before = await database.describe();
    expect(await database.migrate({ dryRun: true, retentionDays: 30 })).toMatchObject([
      { action: "apply again", what: expect.stringMatching(/^0003_retention/) },
    ]);
    expect(await database.describe()).toEqual(before);
  });

  it("alters the tables when the retention has changed", async () => {
    const database = await newDatabase();
    await database.migrate();
    const before = await database.describe();
    const steps = await database.migrate({ retentionDays: 7 });
    expect(steps.map(({ action }) => action)).toEqual(["apply again"]);
    const { tables } = await database.describe();
    expect(tables.get("viewers_by_post")).toMatchObject({
      id: before.tables.get("viewers_by_post")?.id,
      default_time_to_live: 604_800,
      compaction: expect.objectContaining({ compaction_window_size: "6" }),
    });
    expect(tables.get("user_packs")).toMatchObject({ default_time_to_live: 604_800 });
    expect(await database.migrate({ retentionDays: 7 })).toEqual([]);
  });

  it("refuses a keyspace that is not there, unless told to create it", async () => {
    const { keyspace, client } = await newDatabase();
    const migrating = migrateScylla({
      settings: settingsFor(keyspace),
      retentionDays: 90,
      clock: systemClock,
      logger: silentLog,
    });
    await expect(migrating).rejects.toThrow(new RegExp(`no keyspace "${keyspace}".*CREATE KEYSPACE`));
    await expect(migrating).rejects.toThrow(EngineStartError);
    const { rowLength } = await client.execute(
      "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?",
      [keyspace],
    );
    expect(rowLength).toBe(0);
  });

  it("refuses a file that was changed after it was applied, and so does the store", async () => {
    const database = await newDatabase();
    await database.migrate();
    const directory = copiedMigrations();
    writeFileSync(join(directory, "0001_views.cql"), "-- another text\n");
    const before = await database.describe();
    await expect(database.migrate({ directory })).rejects.toThrow(
      /migrations\/0001_views\.cql is not the file/,
    );
    expect(await database.describe()).toEqual(before);
    await database.client.execute(
      `UPDATE ${database.keyspace}.schema_migrations SET checksum = 'other' WHERE scope = 'impressions' AND version = 1`,
    );
    await expect(openScyllaStore(storeOptions(database.keyspace))).rejects.toThrow(
      /0001_views\.cql is not the file/,
    );
  });

  it("refuses a database that is newer than its files, and so does the store", async () => {
    const database = await newDatabase();
    const directory = copiedMigrations();
    writeFileSync(
      join(directory, `000${FILES.length + 1}_future.cql`),
      "CREATE TABLE IF NOT EXISTS future (id text PRIMARY KEY) WITH gc_grace_seconds = 864000;\n",
    );
    await database.migrate({ directory });
    for (const run of [() => database.migrate(), () => openScyllaStore(storeOptions(database.keyspace))]) {
      const refused = run();
      await expect(refused).rejects.toThrow(EngineStartError);
      await expect(refused).rejects.toThrow(
        /newer version of impressions \(migration 000\d_future.*impressions migrate/,
      );
    }
  });
});

describe("a store on a keyspace that is not prepared", () => {
  it("does not open, and says what to run", async () => {
    const database = await newDatabase();
    await expect(openScyllaStore(storeOptions(database.keyspace))).rejects.toThrow(
      /no keyspace .*run: impressions migrate$/,
    );
    await database.client.execute(
      `CREATE KEYSPACE ${database.keyspace} WITH replication = {'class': 'NetworkTopologyStrategy', '${settingsFor("x").localDataCenter}': 1}`,
    );
    const opening = openScyllaStore(storeOptions(database.keyspace));
    await expect(opening).rejects.toThrow(/is not prepared \(0001_views, .*run: impressions migrate$/);
    await expect(opening).rejects.toThrow(EngineStartError);
  });

  it("opens after a change of the retention, and tells of it", async () => {
    const database = await newDatabase();
    await database.migrate();
    const warnings: string[] = [];
    const logger = { ...silentLog, warn: (_fields: object, message: string) => void warnings.push(message) };
    const { store } = await openScyllaStore(storeOptions(database.keyspace, { retentionDays: 30, logger }));
    onTestFinished(() => store.close());
    expect(warnings).toEqual([expect.stringMatching(/RETENTION_DAYS has changed.*run: impressions migrate/)]);
  });
});
