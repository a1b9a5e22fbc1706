import { randomBytes } from "node:crypto";
import { Client } from "cassandra-driver";
import { inject, onTestFinished } from "vitest";
import { DAY_MS, systemClock } from "../../src/domain/time.ts";
import { type OpenedScyllaStore, openScyllaStore, type ScyllaStoreOptions } from "../../src/scylla/open.ts";
import { migrateScylla } from "../../src/scylla/schema/migrate.ts";
import type { ScyllaSettings } from "../../src/scylla/settings.ts";
import type { Log } from "../../src/telemetry/logger.ts";
import type {} from "../servers/global-setup.ts";

export const RETENTION_DAYS = 90;

/** Tests that look at the log bring their own. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** The test run's shared database, and a keyspace in it. */
export function settingsFor(keyspace: string): ScyllaSettings {
  return {
    contactPoints: inject("scyllaContactPoints"),
    localDataCenter: inject("scyllaLocalDc"),
    keyspace,
    // A schema change on a busy machine takes its time.
    requestTimeoutMs: 30_000,
  };
}

/** A name that no other suite of this or of another run has. */
export function newKeyspaceName(): string {
  return `test_${randomBytes(8).toString("hex")}`;
}

/** The options that most tests take as they are. */
export function storeOptions(keyspace: string, given: Partial<ScyllaStoreOptions> = {}): ScyllaStoreOptions {
  return {
    ...settingsFor(keyspace),
    retentionDays: RETENTION_DAYS,
    inFlightMax: 256,
    waitForConnection: true,
    clock: systemClock,
    logger: silentLog,
    ...given,
  };
}

/** A migrated keyspace of one test. */
export interface TestKeyspace {
  readonly name: string;
  /** A driver on the keyspace, for looking at what is stored. */
  readonly client: Client;
  /** Opens a store on it: each is what a process of its own would have. */
  open(given?: Partial<ScyllaStoreOptions>): Promise<OpenedScyllaStore>;
  /** Closes every store opened on it, and empties it for the next test. */
  dispose(): Promise<void>;
}

/** Keyspaces that are empty and free: emptying one takes a fifth of the time that making one takes. */
const free: { readonly name: string; readonly client: Client }[] = [];

export async function openTestKeyspace(): Promise<TestKeyspace> {
  const keyspace = free.pop() ?? (await createKeyspace());
  const { name, client } = keyspace;
  const opened: OpenedScyllaStore[] = [];
  return {
    name,
    client,
    async open(given = {}) {
      const store = await openScyllaStore(storeOptions(name, given));
      opened.push(store);
      return store;
    },
    async dispose() {
      await Promise.all(opened.map((store) => store.close()));
      const tables = await dataTables(client, name);
      await Promise.all(tables.map((table) => client.execute(`TRUNCATE ${table}`)));
      free.push(keyspace);
    },
  };
}

/** One that is disposed of when the test is over. */
export async function newKeyspace(): Promise<TestKeyspace> {
  const keyspace = await openTestKeyspace();
  onTestFinished(() => keyspace.dispose());
  return keyspace;
}

/** Removes the keyspaces that this file's tests have used. For `afterAll`. */
export async function dropTestKeyspaces(): Promise<void> {
  for (const { name, client } of free.splice(0)) {
    await client.execute(`DROP KEYSPACE ${name}`);
    await client.shutdown();
  }
}

async function createKeyspace(): Promise<{ name: string; client: Client }> {
  const name = newKeyspaceName();
  const settings = settingsFor(name);
  await migrateScylla({
    settings,
    retentionDays: RETENTION_DAYS,
    clock: systemClock,
    createKeyspace: { replicationFactor: replicas() },
    logger: silentLog,
  });
  return { name, client: await connectTo(settings) };
}

/** On every node of a small cluster, so that a quorum means something where one is given. */
function replicas(): number {
  return Math.min(3, inject("scyllaContactPoints").length);
}

/** A driver with nothing of the store's around it. */
export async function connectTo(settings: ScyllaSettings, keyspace?: string): Promise<Client> {
  const client = new Client({
    contactPoints: [...settings.contactPoints],
    localDataCenter: settings.localDataCenter,
    keyspace: keyspace ?? settings.keyspace,
    encoding: { useBigIntAsLong: true },
    queryOptions: { prepare: true, isIdempotent: true },
    socketOptions: { readTimeout: settings.requestTimeoutMs },
  });
  await client.connect();
  return client;
}

async function dataTables(client: Client, keyspace: string): Promise<string[]> {
  const { rows } = await client.execute(
    "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?",
    [keyspace],
  );
  return rows.map((row) => String(row.get("table_name"))).filter((name) => name !== "schema_migrations");
}

export function daysOf(retentionMs: number): number {
  return retentionMs / DAY_MS;
}
