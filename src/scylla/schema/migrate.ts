import { setTimeout as sleep } from "node:timers/promises";
import type { Client, Host } from "cassandra-driver";
import type { Clock } from "../../domain/time.ts";
import { EngineStartError } from "../../ports/errors.ts";
import type { Log } from "../../telemetry/logger.ts";
import { connectClient } from "../connection.ts";
import { messageOf } from "../errors.ts";
import { readFlavour, replicasOf, tablesWithOtherTombstoneGc, tombstoneGc } from "../flavour.ts";
import type { ScyllaSettings } from "../settings.ts";
import {
  type Migration,
  type MigrationValues,
  migrationValues,
  readMigrations,
  renderedValues,
  statementsOf,
} from "./migration-files.ts";
import {
  CREATE_HISTORY,
  HISTORY_SCOPE,
  HISTORY_TABLE,
  type PendingMigration,
  pendingMigrations,
  readHistory,
} from "./schema-history.ts";

/** How long the nodes may take to agree on the schema after a statement. */
const AGREEMENT_TIMEOUT_MS = 60_000;
const AGREEMENT_CHECK_INTERVAL_MS = 100;
/** A schema change waits for every node, on some after a flush. */
const DDL_TIMEOUT_MS = 60_000;

export interface MigrateOptions {
  readonly settings: ScyllaSettings;
  readonly retentionDays: number;
  /** Only tell what would be done. */
  readonly dryRun?: boolean;
  /** Create the keyspace where it is missing, with so many replicas in the local data center. */
  readonly createKeyspace?: { readonly replicationFactor: number };
  /** Where the files are, for tests. */
  readonly directory?: string;
  readonly clock: Clock;
  readonly logger: Log;
}

/** Something that was done, or would be. */
export interface MigrationStep {
  /** again: the file is known, what its placeholders stand for has changed. */
  readonly action: "create keyspace" | "apply" | "apply again" | "set tombstone_gc";
  /** The keyspace, the migration with the settings that it was rendered with, or the table. */
  readonly what: string;
}

/**
 * Brings a keyspace up to date. Safe to run again, after a crash, and by several at once: every statement can be
 * repeated, the history is the same whichever process writes it, and all runners send their statements to the same node, which
 * carries them out one after another. (Two nodes that create a table at the same moment would give it two ids; a
 * lightweight transaction as a lock would not work everywhere.)
 *
 * @returns what was done, in order; nothing where the keyspace was up to date.
 * @throws EngineStartError one line that says what to do.
 */
export async function migrateScylla(options: MigrateOptions): Promise<MigrationStep[]> {
  const { settings, clock, logger, dryRun = false } = options;
  const migrations = readMigrations(options.directory);
  const withTimeForDdl = {
    ...settings,
    requestTimeoutMs: Math.max(settings.requestTimeoutMs, DDL_TIMEOUT_MS),
  };
  const use = <Result>(keyspace: string | null, run: (client: Client) => Promise<Result>) =>
    withClient(withTimeForDdl, keyspace, logger, run);
  try {
    const { exists, flavour } = await use(null, async (client) => ({
      exists: await keyspaceExists(client, settings.keyspace),
      flavour: await readFlavour(client),
    }));
    const values = migrationValues(options.retentionDays, flavour);
    if (!exists && options.createKeyspace === undefined) throw missingKeyspace(settings);
    const created: MigrationStep[] = exists ? [] : [{ action: "create keyspace", what: settings.keyspace }];
    if (dryRun) {
      const history = exists ? await use(settings.keyspace, (client) => readHistory(client)) : [];
      const steps = pendingMigrations(migrations, history, values).map(stepWith(values));
      const tables = exists
        ? await use(settings.keyspace, (client) => tombstoneGcSteps(client, settings.keyspace))
        : [];
      return [...created, ...steps, ...tables];
    }
    const { createKeyspace } = options;
    // Also where it is there already: another runner may be creating it, and it must be known to every node.
    if (createKeyspace !== undefined) {
      await use(null, (client) =>
        change({ client, settings, clock, logger }, creationOf(settings, createKeyspace.replicationFactor)),
      );
    }
    const applied = await use(settings.keyspace, async (client) => {
      const schema = { client, settings, clock, logger };
      return [...(await applyPending(schema, migrations, values)), ...(await setTombstoneGc(schema))];
    });
    return [...created, ...applied];
  } catch (error) {
    throw error instanceof EngineStartError
      ? error
      : new EngineStartError(messageOf(error), { cause: error });
  }
}

/** What a change of the schema takes. */
interface SchemaAccess {
  readonly client: Client;
  readonly settings: ScyllaSettings;
  readonly clock: Clock;
  readonly logger: Log;
}

async function applyPending(
  schema: SchemaAccess,
  migrations: readonly Migration[],
  values: MigrationValues,
): Promise<MigrationStep[]> {
  const { client } = schema;
  await change(schema, CREATE_HISTORY);
  const pending = pendingMigrations(migrations, await readHistory(client), values);
  for (const { migration } of pending) {
    for (const statement of statementsOf(migration, values)) await change(schema, statement);
    const { version, name, checksum } = migration;
    await client.execute(
      `INSERT INTO ${HISTORY_TABLE} (scope, version, name, checksum, settings) VALUES (?, ?, ?, ?, ?)`,
      [HISTORY_SCOPE, version, name, checksum, renderedValues(migration, values)],
    );
  }
  return pending.map(stepWith(values));
}

/**
 * Says for every table when ScyllaDB may purge tombstones and expired rows. Looked at in each run, since it depends on
 * how many replicas the keyspace has. Nothing to do on Cassandra, where gc_grace_seconds says it.
 */
async function setTombstoneGc(schema: SchemaAccess): Promise<MigrationStep[]> {
  const { client, settings } = schema;
  const steps = await tombstoneGcSteps(client, settings.keyspace);
  if (steps.length === 0) return [];
  const value = tombstoneGc(await replicasOf(client, settings.keyspace));
  for (const { what: table } of steps)
    await change(schema, `ALTER TABLE ${table} WITH tombstone_gc = ${value}`);
  return steps;
}

async function tombstoneGcSteps(client: Client, keyspace: string): Promise<MigrationStep[]> {
  if ((await readFlavour(client)).database !== "ScyllaDB") return [];
  const tables = await tablesWithOtherTombstoneGc(client, keyspace, await replicasOf(client, keyspace));
  return tables.map((what) => ({ action: "set tombstone_gc", what }));
}

function stepWith(values: MigrationValues): (pending: PendingMigration) => MigrationStep {
  return ({ migration, reason }) => {
    const rendered = renderedValues(migration, values);
    const what = rendered === "" ? migration.name : `${migration.name} (${rendered})`;
    return { action: reason === "new" ? "apply" : "apply again", what };
  };
}

async function keyspaceExists(client: Client, keyspace: string): Promise<boolean> {
  const { rowLength } = await client.execute(
    "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?",
    [keyspace],
  );
  return rowLength > 0;
}

function creationOf(settings: ScyllaSettings, replicationFactor: number): string {
  return `CREATE KEYSPACE IF NOT EXISTS ${settings.keyspace} WITH ${replication(settings, replicationFactor)}`;
}

function replication({ localDataCenter }: ScyllaSettings, replicationFactor: number): string {
  const dataCenter = localDataCenter.replaceAll("'", "''");
  return `replication = {'class': 'NetworkTopologyStrategy', '${dataCenter}': ${replicationFactor}}`;
}

function missingKeyspace(settings: ScyllaSettings): EngineStartError {
  return new EngineStartError(
    `the database has no keyspace "${settings.keyspace}": create it with as many replicas as you want ` +
      `(CREATE KEYSPACE ${settings.keyspace} WITH ${replication(settings, 3)}), or run: impressions migrate --create-keyspace 3`,
  );
}

/**
 * Changes the schema by one statement, on the one node that all runners choose, and waits until all nodes agree. The
 * driver waits only where something changed; what another runner has just changed has to be waited for as well.
 */
async function change({ client, settings, clock, logger }: SchemaAccess, statement: string): Promise<void> {
  const host = schemaNode(client, settings.localDataCenter);
  const { info } = await client.execute(statement, [], { prepare: false, host });
  // ScyllaDB warns here of what it would refuse if it were strict: replicas that its racks cannot hold, above all.
  for (const warning of info.warnings ?? []) logger.warn({ statement }, `the database warns: ${warning}`);
  const deadlineMs = clock.monotonicMs() + AGREEMENT_TIMEOUT_MS;
  while (!(await nodesAgree(client))) {
    if (clock.monotonicMs() > deadlineMs) {
      throw new EngineStartError(
        `the database's nodes do not agree on the schema after ${AGREEMENT_TIMEOUT_MS / 1_000} s: see that every node ` +
          "is up or removed from the cluster, and run it again",
      );
    }
    await sleep(AGREEMENT_CHECK_INTERVAL_MS);
  }
}

function nodesAgree({ metadata }: Client): Promise<boolean> {
  // Public in the driver's documentation, missing in its types.
  return (metadata as typeof metadata & { checkSchemaAgreement(): Promise<boolean> }).checkSchemaAgreement();
}

/** Of the nodes of the local data center that are up, the one with the least address. */
function schemaNode(client: Client, dataCenter: string): Host {
  const [first] = client.hosts
    .values()
    .filter((host) => host.isUp() && host.datacenter === dataCenter)
    .sort((a, b) => (a.address < b.address ? -1 : 1));
  if (first === undefined) throw new EngineStartError("no node of the local data center is up");
  return first;
}

async function withClient<Result>(
  settings: ScyllaSettings,
  keyspace: string | null,
  log: Log,
  use: (client: Client) => Promise<Result>,
): Promise<Result> {
  const client = await connectClient(settings, keyspace, log);
  try {
    return await use(client);
  } finally {
    await client.shutdown();
  }
}
