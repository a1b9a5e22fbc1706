import { type Client, errors, types } from "cassandra-driver";

/**
 * ScyllaDB and Apache Cassandra speak one protocol and one CQL. This file has what differs for us, and why. The facts
 * about ScyllaDB were read in its source (2025.4.2 and 2026.2.5), where nothing else is said; docs/databases.md tells
 * what has been run on what.
 */
export interface Flavour {
  readonly database: "ScyllaDB" | "Cassandra";
  /** Null where the login may not read it. */
  readonly version: string | null;
}

/** A column of ScyllaDB's system.local (db/system_keyspace.cc); Cassandra refuses the statement. */
const READ_SCYLLA_FEATURES = "SELECT supported_features FROM system.local WHERE key = 'local'";
/** A table that only ScyllaDB has (db/virtual_tables.cc): its release_version is 3.0.8 in every version. */
const READ_SCYLLA_VERSION = "SELECT version FROM system.versions WHERE key = 'local'";
const READ_CASSANDRA_VERSION = "SELECT release_version FROM system.local WHERE key = 'local'";

/** Asks a connected database what it is: two small reads. @throws what the driver throws. */
export async function readFlavour(client: Client): Promise<Flavour> {
  const ask = (cql: string) => client.execute(cql, [], { prepare: false });
  if (!(await isAnswered(ask(READ_SCYLLA_FEATURES)))) {
    const { rows } = await ask(READ_CASSANDRA_VERSION);
    return { database: "Cassandra", version: textOrNull(rows[0]?.get("release_version")) };
  }
  try {
    const { rows } = await ask(READ_SCYLLA_VERSION);
    return { database: "ScyllaDB", version: textOrNull(rows[0]?.get("version")) };
  } catch (error) {
    if (isRefused(error)) return { database: "ScyllaDB", version: null };
    throw error;
  }
}

/** For logs and people: `ScyllaDB 2026.1.4`. */
export function flavourText({ database, version }: Flavour): string {
  return version === null ? `${database} of unknown version` : `${database} ${version}`;
}

/** The command that repairs a keyspace. ScyllaDB's `nodetool repair` passes over tables with tablets. */
export function repairCommand({ database }: Flavour, keyspace: string): string {
  return database === "ScyllaDB" ? `nodetool cluster repair ${keyspace}` : `nodetool repair -pr ${keyspace}`;
}

/** The property `compression` of a table: no statement says it to both, each refuses the other's name for the class. */
export function zstdCompression({ database }: Pick<Flavour, "database">): string {
  const name = database === "ScyllaDB" ? "sstable_compression" : "class";
  return `{'${name}': 'ZstdCompressor', 'chunk_length_in_kb': '16'}`;
}

/** How long a tombstone stays after the repair that has spread it: as long as gc_grace_seconds of our tables. */
const PROPAGATION_DELAY_SECONDS = 864_000;

/**
 * When ScyllaDB may purge tombstones and expired rows of a table, as the value of its property tombstone_gc.
 *
 * ScyllaDB ignores gc_grace_seconds on tables with tablets (from 2026.2 on: on all) and waits for a repair instead, and
 * then for one hour only; a statement that says both makes the rule the same in every version. With one replica there is
 * nothing to repair: that mode is refused there (tombstone_gc.cc), and gc_grace_seconds is what counts.
 *
 * @param replicas of the keyspace, in all data centers.
 */
export function tombstoneGc(replicas: number): string {
  return replicas > 1
    ? `{'mode': 'repair', 'propagation_delay_in_seconds': '${PROPAGATION_DELAY_SECONDS}'}`
    : "{'mode': 'timeout'}";
}

/** The data tables of a keyspace whose tombstone_gc is not as `tombstoneGc` has it. Of ScyllaDB only. */
export async function tablesWithOtherTombstoneGc(
  client: Client,
  keyspace: string,
  replicas: number,
): Promise<string[]> {
  const { rows } = await client.execute(
    "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?",
    [keyspace],
  );
  const others: string[] = [];
  for (const row of rows) {
    const table = String(row.get("table_name"));
    // The property is in no column of system_schema that could be read, only in the description.
    const described = await client.execute(`DESCRIBE TABLE ${keyspace}.${table}`, [], { prepare: false });
    const statement = String(described.rows[0]?.get("create_statement"));
    if (propertiesOf(statement) !== propertiesOf(`tombstone_gc = ${tombstoneGc(replicas)}`))
      others.push(table);
  }
  return others.sort();
}

/** What a statement says of tombstone_gc: its mode, and its delay where that matters, in one text to compare. */
function propertiesOf(statement: string): string {
  const value = /tombstone_gc\s*=\s*\{([^}]*)\}/.exec(statement)?.[1] ?? "";
  const property = (name: string) => new RegExp(`'${name}'\\s*:\\s*'([^']*)'`).exec(value)?.[1];
  const mode = property("mode") ?? "";
  return mode === "repair" ? `${mode} ${property("propagation_delay_in_seconds")}` : mode;
}

/** How many replicas a keyspace has, in all data centers; 0 where there is no such keyspace. */
export async function replicasOf(client: Client, keyspace: string): Promise<number> {
  const { rows } = await client.execute(
    "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?",
    [keyspace],
  );
  const replication = (rows[0]?.get("replication") ?? {}) as Readonly<Record<string, string>>;
  return Object.entries(replication)
    .filter(([name]) => name !== "class")
    .reduce((sum, [, count]) => sum + Number(count), 0);
}

async function isAnswered(answer: Promise<unknown>): Promise<boolean> {
  try {
    await answer;
    return true;
  } catch (error) {
    if (error instanceof errors.ResponseError && error.code === types.responseErrorCodes.invalid)
      return false;
    throw error;
  }
}

function isRefused(error: unknown): boolean {
  const { invalid, unauthorized } = types.responseErrorCodes;
  return error instanceof errors.ResponseError && (error.code === invalid || error.code === unauthorized);
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
