import type { Client, types } from "cassandra-driver";
import { EngineStartError } from "../../ports/errors.ts";
import type { Log } from "../../telemetry/logger.ts";
import { isMissingTable } from "../errors.ts";
import { integerOf, textOf } from "../rows.ts";
import { type Migration, type MigrationValues, renderedValues } from "./migration-files.ts";

/**
 * What has been applied to a keyspace, in its table schema_migrations: one row a file, the same whichever process writes it, so
 * that two runners at once leave the same history.
 */
export const HISTORY_TABLE = "schema_migrations";

/** All rows are in one partition. */
export const HISTORY_SCOPE = "impressions";

export const CREATE_HISTORY = `
  CREATE TABLE IF NOT EXISTS ${HISTORY_TABLE} (
    scope text,
    version int,
    name text,
    checksum text,
    settings text,
    PRIMARY KEY ((scope), version)
  ) WITH comment = 'the migrations that were applied'`;

export interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
  /** What its placeholders came out as; see `renderedValues`. */
  readonly settings: string;
}

export interface PendingMigration {
  readonly migration: Migration;
  /** Whether the file is new to this keyspace, or only its settings have changed. */
  readonly reason: "new" | "settings";
}

/** What has been applied to the client's keyspace; nothing where there is no history yet. */
export async function readHistory(client: Client): Promise<AppliedMigration[]> {
  try {
    const { rows } = await client.execute(
      `SELECT version, name, checksum, settings FROM ${HISTORY_TABLE} WHERE scope = ?`,
      [HISTORY_SCOPE],
    );
    return rows.map((row: types.Row) => ({
      version: integerOf(row, "version"),
      name: textOf(row, "name"),
      checksum: textOf(row, "checksum"),
      settings: textOf(row, "settings"),
    }));
  } catch (error) {
    if (isMissingTable(error)) return [];
    throw error;
  }
}

/**
 * The first migration of releases before packs (18a2244 and around it): their keyspaces have three rows of a view, which this
 * release does not read.
 */
const CHECKSUM_BEFORE_PACKS = "ab8c5f0c6c684e6544be834cf15386fd755be137ba6b4ab78977f757eed878a9";

/**
 * Pure: what is left to apply.
 *
 * @throws EngineStartError the keyspace is of a release before packs, it is newer than these files, or one of them was changed
 * after it was applied.
 */
export function pendingMigrations(
  migrations: readonly Migration[],
  history: readonly AppliedMigration[],
  values: MigrationValues,
): PendingMigration[] {
  if (history.some(({ checksum }) => checksum === CHECKSUM_BEFORE_PACKS)) {
    throw new EngineStartError(
      "the keyspace was prepared by a release before packs, whose tables this one does not read: with that release run " +
        "`impressions export views.ndjson.gz`; with this one name a new SCYLLA_KEYSPACE, and run " +
        "`impressions migrate --create-keyspace 3` and `impressions import views.ndjson.gz` " +
        '(docs/operations.md, "Moving from a release before packs")',
    );
  }
  const newest = migrations.at(-1)?.version ?? 0;
  const newer = history.find(({ version }) => version > newest);
  if (newer !== undefined) {
    throw new EngineStartError(
      `the database was prepared by a newer version of impressions (migration ${newer.name}, this one knows up to ` +
        `${newest}): use that version; its schema comes with its own: impressions migrate`,
    );
  }
  const applied = new Map(history.map((migration) => [migration.version, migration]));
  return migrations.flatMap((migration): PendingMigration[] => {
    const known = applied.get(migration.version);
    if (known === undefined) return [{ migration, reason: "new" }];
    if (known.checksum !== migration.checksum || known.name !== migration.name) {
      throw new EngineStartError(
        `migrations/${migration.name}.cql is not the file that was applied as ${known.name}: a migration must not be ` +
          "changed; restore it, and put the change into a new one",
      );
    }
    return known.settings === renderedValues(migration, values) ? [] : [{ migration, reason: "settings" }];
  });
}

/** Whether this version can work on the keyspace. @throws EngineStartError it cannot; the line says what to do. */
export async function checkSchema(
  client: Client,
  keyspace: string,
  migrations: readonly Migration[],
  values: MigrationValues,
  log: Log,
): Promise<void> {
  const pending = pendingMigrations(migrations, await readHistory(client), values);
  const missing = pending.filter(({ reason }) => reason === "new");
  if (missing.length > 0) {
    const names = missing.map(({ migration }) => migration.name).join(", ");
    throw new EngineStartError(
      `the keyspace "${keyspace}" is not prepared (${names}): run: impressions migrate`,
    );
  }
  if (pending.length > 0) {
    // Rows carry their own TTL: the service works, only the tables' time windows are not the best.
    log.warn({}, "RETENTION_DAYS has changed since the tables were prepared: run: impressions migrate");
  }
}
