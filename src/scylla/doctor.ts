import { type Client, errors, type Host, types } from "cassandra-driver";
import { type ClockReading, clockFinding, type Finding, failed, ok, warning } from "../domain/finding.ts";
import type { WallClock } from "../domain/time.ts";
import type { Log } from "../telemetry/logger.ts";
import { connectClient } from "./connection.ts";
import { messageOf } from "./errors.ts";
import {
  type Flavour,
  flavourText,
  readFlavour,
  repairCommand,
  replicasOf,
  tablesWithOtherTombstoneGc,
} from "./flavour.ts";
import { migrationValues, readMigrations } from "./schema/migration-files.ts";
import { pendingMigrations, readHistory } from "./schema/schema-history.ts";
import type { ScyllaSettings } from "./settings.ts";

/** Deletes an erasure record that does not exist, as of 1970: a write that changes nothing. */
const HARMLESS_WRITE = "DELETE FROM erasure_receipts USING TIMESTAMP 1 WHERE id = '-'";
/** How often the nodes may come in turn until each has answered with its time. */
const CLOCK_TURNS = 5;
/** Cassandra's and ScyllaDB's, of every version. */
const READ_CLOCK = "SELECT toTimestamp(now()) AS now FROM system.local";

export interface ScyllaDoctorOptions {
  readonly settings: ScyllaSettings;
  readonly retentionDays: number;
  readonly clock: WallClock;
  readonly logger: Log;
}

/** Looks at the database as this configuration would use it. Changes nothing. */
export async function diagnoseScylla(options: ScyllaDoctorOptions): Promise<Finding[]> {
  const { settings, clock, logger } = options;
  const findings: Finding[] = [];
  try {
    // Without a keyspace first: whether there is one is a finding of its own.
    await withClient(settings, null, logger, async (client) => {
      const hosts = client.hosts.values().filter(({ datacenter }) => datacenter === settings.localDataCenter);
      const { readings, silent } = await readClocks(client, hosts, clock);
      const flavour = await readFlavour(client);
      findings.push(
        hostFinding(settings, flavour, hosts, silent),
        await keyspaceFinding(client, settings, hosts.length),
        clockFinding("store clock", readings),
      );
    });
  } catch (error) {
    return [failed("store", messageOf(error))];
  }
  if (findings.some(({ result }) => result === "failed")) return findings;
  try {
    await withClient(settings, settings.keyspace, logger, async (client) => {
      findings.push(await schemaFinding(client, options));
      if (findings.some(({ result }) => result === "failed")) return;
      await client.execute(HARMLESS_WRITE);
      findings.push(ok("store access", "reads and writes are allowed"));
      findings.push(await purgeFinding(client, settings.keyspace));
    });
  } catch (error) {
    findings.push(failed("store access", accessProblem(error, settings)));
  }
  return findings;
}

function hostFinding(
  { localDataCenter, connectionsPerHost = 1 }: ScyllaSettings,
  flavour: Flavour,
  hosts: readonly Host[],
  silent: readonly string[],
): Finding {
  const connections =
    flavour.database === "ScyllaDB"
      ? `; SCYLLA_CONNECTIONS_PER_HOST=${connectionsPerHost}, each to one of a node's CPU cores`
      : "";
  const detail = `${hosts.length} ${hosts.length === 1 ? "node" : "nodes"} of ${flavourText(flavour)} in ${localDataCenter}${connections}`;
  return silent.length === 0
    ? ok("store", detail)
    : warning(
        "store",
        `${detail}, of which ${silent.join(", ")} does not answer: start it, or remove it from the cluster`,
      );
}

async function keyspaceFinding(client: Client, settings: ScyllaSettings, nodes: number): Promise<Finding> {
  const check = "store keyspace";
  const { keyspace, localDataCenter } = settings;
  const { rows } = await client.execute(
    "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?",
    [keyspace],
  );
  if (rows[0] === undefined) {
    return failed(
      check,
      `there is no keyspace "${keyspace}": check SCYLLA_KEYSPACE, or create it, then run: impressions migrate`,
    );
  }
  const replication = rows[0].get("replication") as Readonly<Record<string, string>>;
  const replicas = Number(replication[localDataCenter] ?? replication.replication_factor ?? 0);
  const detail = `"${keyspace}" has ${replicas} of ${nodes} nodes as replicas in ${localDataCenter}`;
  if (replicas === 0 || replicas > nodes) {
    return failed(
      check,
      `${detail}: a quorum of them has to be there; ALTER KEYSPACE ${keyspace} WITH replication = ...`,
    );
  }
  if (replicas === 1 && nodes > 1) {
    return warning(check, `${detail}: the loss of one node loses impressions; use 3`);
  }
  return ok(check, detail);
}

async function schemaFinding(client: Client, { retentionDays }: ScyllaDoctorOptions): Promise<Finding> {
  const check = "store schema";
  const migrations = readMigrations();
  try {
    const values = migrationValues(retentionDays, await readFlavour(client));
    const pending = pendingMigrations(migrations, await readHistory(client), values);
    const names = pending.map(({ migration }) => migration.name).join(", ");
    if (pending.some(({ reason }) => reason === "new")) {
      return failed(check, `${names} is not applied: run: impressions migrate`);
    }
    if (pending.length > 0)
      return warning(check, `RETENTION_DAYS has changed (${names}): run: impressions migrate`);
    return ok(check, `up to date (${migrations.at(-1)?.name})`);
  } catch (error) {
    if (isForbidden(error)) throw error;
    return failed(check, messageOf(error));
  }
}

/** When deleted and expired data leaves the disks: what an operator has to do for it, by the database. */
async function purgeFinding(client: Client, keyspace: string): Promise<Finding> {
  const check = "store purge";
  const flavour = await readFlavour(client);
  const replicas = await replicasOf(client, keyspace);
  const advice =
    replicas > 1
      ? `repair within every 10 days: ${repairCommand(flavour, keyspace)}`
      : "one replica needs no repair";
  if (flavour.database === "Cassandra") return ok(check, `by gc_grace_seconds; ${advice}`);
  const tables = await tablesWithOtherTombstoneGc(client, keyspace, replicas);
  return tables.length === 0
    ? ok(check, `by tombstone_gc; ${advice}`)
    : warning(
        check,
        `${tables.join(", ")}: tombstone_gc is not what ${replicas} replicas need, so that the disks may fill or an ` +
          "erasure may be undone: run: impressions migrate",
      );
}

/**
 * Each node's own: they stamp what is compared later. The driver asks the nodes in turn and passes over those that do not
 * answer; silent are those without an answer after some turns.
 */
async function readClocks(
  client: Client,
  hosts: readonly Host[],
  clock: WallClock,
): Promise<{ readonly readings: readonly ClockReading[]; readonly silent: readonly string[] }> {
  const readings = new Map<string, ClockReading>();
  for (let left = CLOCK_TURNS * hosts.length; left > 0 && readings.size < hosts.length; left--) {
    const beforeMs = clock.nowMs();
    const { rows, info } = await client.execute(READ_CLOCK, [], { prepare: false });
    const who = info.queriedHost;
    readings.set(who, { who, beforeMs, theirsMs: Number(rows[0]?.get("now")), afterMs: clock.nowMs() });
  }
  const silent = hosts.map(({ address }) => address).filter((address) => !readings.has(address));
  return { readings: [...readings.values()], silent };
}

function isForbidden(error: unknown): boolean {
  return error instanceof errors.ResponseError && error.code === types.responseErrorCodes.unauthorized;
}

function accessProblem(error: unknown, { keyspace, user }: ScyllaSettings): string {
  return isForbidden(error)
    ? `${messageOf(error)}: GRANT SELECT and MODIFY ON KEYSPACE ${keyspace} TO ${user}`
    : messageOf(error);
}

async function withClient(
  settings: ScyllaSettings,
  keyspace: string | null,
  log: Log,
  use: (client: Client) => Promise<void>,
): Promise<void> {
  const client = await connectClient(settings, keyspace, log);
  try {
    await use(client);
  } finally {
    await client.shutdown();
  }
}
