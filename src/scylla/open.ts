import { type Clock, DAY_MS } from "../domain/time.ts";
import { EngineStartError } from "../ports/errors.ts";
import type { ImpressionStore, OnStatement } from "../ports/impression-store.ts";
import type { Log } from "../telemetry/logger.ts";
import { openConnection } from "./connection.ts";
import { createDatabase, type ReadConsistency } from "./database.ts";
import { type Flavour, flavourText, readFlavour } from "./flavour.ts";
import { migrationValues, readMigrations } from "./schema/migration-files.ts";
import { checkSchema } from "./schema/schema-history.ts";
import type { ScyllaSettings } from "./settings.ts";
import { createScyllaStore } from "./store.ts";

/** The driver fails requests beyond 2,048 on a connection; it has one to each host. */
const IN_FLIGHT_LIMIT = 1_536;
export interface ScyllaStoreOptions extends ScyllaSettings {
  readonly retentionDays: number;
  /** LOCAL_QUORUM unless given: what was written is read. With LOCAL_ONE a reader may be a little behind. */
  readonly readConsistency?: ReadConsistency;
  /** Requests on their way at once, 1 to 1,536. Measured: 64 are as good as 512. */
  readonly inFlightMax: number;
  /** Rows that this process writes into a slice of a post's viewers before it goes on in finer ones. */
  readonly sliceRowsMax?: number;
  /** How soon this process hears of an erasure that another carries out; 10 s unless given. */
  readonly erasuresRefreshMs?: number;
  /** While the database cannot be reached: wait for it (true), or open a store whose calls fail until it can. */
  readonly waitForConnection: boolean;
  /** Ends that waiting. */
  readonly signal?: AbortSignal;
  readonly clock: Clock;
  readonly onStatement?: OnStatement | undefined;
  readonly logger: Log;
}

export interface OpenedScyllaStore {
  readonly store: ImpressionStore;
  /** What it is connected to; null until it was. */
  readonly flavour: () => Flavour | null;
  close(): Promise<void>;
}

/**
 * The store on a ScyllaDB or Apache Cassandra cluster.
 *
 * @throws EngineStartError what is configured cannot work: login, certificate, data center, keyspace, or a schema that
 * is missing, older or newer. One line that says what to do. A database that is only down is no error.
 */
export async function openScyllaStore(options: ScyllaStoreOptions): Promise<OpenedScyllaStore> {
  const {
    clock,
    logger: log,
    inFlightMax,
    readConsistency = "LOCAL_QUORUM",
    retentionDays,
    sliceRowsMax,
    erasuresRefreshMs,
  } = options;
  if (!Number.isInteger(inFlightMax) || inFlightMax < 1 || inFlightMax > IN_FLIGHT_LIMIT) {
    throw new EngineStartError(`requests in flight must be 1 to ${IN_FLIGHT_LIMIT}, not ${inFlightMax}`);
  }
  const migrations = readMigrations();
  let flavour: Flavour | null = null;
  const connection = await openConnection({
    settings: options,
    log,
    async verify(client) {
      flavour = await readFlavour(client);
      const values = migrationValues(retentionDays, flavour);
      await checkSchema(client, options.keyspace, migrations, values, log);
      log.info(flavour, `the store is ${flavourText(flavour)}`);
    },
    waitForConnection: options.waitForConnection,
    signal: options.signal,
  });

  const database = createDatabase(connection, {
    inFlightMax,
    readConsistency,
    clock,
    onStatement: options.onStatement,
  });
  const store = createScyllaStore({
    database,
    retentionMs: retentionDays * DAY_MS,
    sliceRowsMax,
    erasuresRefreshMs,
    clock,
    log,
  });
  return { store, flavour: () => flavour, close: () => store.close() };
}
