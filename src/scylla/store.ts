import { createExpiryClock } from "../domain/guarded-clock.ts";
import { SLICE_ROWS_MAX } from "../domain/slices.ts";
import { type Clock, DAY_MS } from "../domain/time.ts";
import type { WalkRequest } from "../domain/walk.ts";
import { EngineStartError } from "../ports/errors.ts";
import type { ImpressionStore, OnStatement } from "../ports/impression-store.ts";
import { createClaims } from "./claims.ts";
import { openConnection } from "./connection.ts";
import { createDatabase, type ReadConsistency } from "./database.ts";
import { createErasedUsers, ERASURES_REFRESH_MS } from "./erased-users.ts";
import { eraseUser } from "./erasing.ts";
import { createErasureRecords } from "./erasure-records.ts";
import { messageOf } from "./errors.ts";
import { type Flavour, flavourText, readFlavour } from "./flavour.ts";
import { createHistoryWrites } from "./history-writes.ts";
import type { Log } from "./log.ts";
import { createMembership } from "./membership.ts";
import { migrationValues, readMigrations } from "./migration-files.ts";
import { postViewersPage } from "./post-viewers.ts";
import { scanViews } from "./scan.ts";
import { checkSchema } from "./schema-history.ts";
import { seenPostsPage } from "./seen-posts.ts";
import type { ScyllaSettings } from "./settings.ts";
import { createUserHashes } from "./user-hashes.ts";
import { createViewerWrites } from "./viewer-writes.ts";

/** The driver fails requests beyond 2,048 on a connection; it has one to each host. */
const IN_FLIGHT_LIMIT = 1_536;
/** No erasure record has this id: looking for it asks a quorum of replicas for next to nothing. */
const PROBE_ID = "-";

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
    sliceRowsMax = SLICE_ROWS_MAX,
    erasuresRefreshMs = ERASURES_REFRESH_MS,
  } = options;
  if (!Number.isInteger(inFlightMax) || inFlightMax < 1 || inFlightMax > IN_FLIGHT_LIMIT) {
    throw new EngineStartError(`requests in flight must be 1 to ${IN_FLIGHT_LIMIT}, not ${inFlightMax}`);
  }
  const migrations = readMigrations();
  const values = migrationValues(options.retentionDays);
  let flavour: Flavour | null = null;
  const connection = await openConnection({
    settings: options,
    log,
    async verify(client) {
      await checkSchema(client, options.keyspace, migrations, values, log);
      flavour = await readFlavour(client);
      log.info(flavour, `the store is ${flavourText(flavour)}`);
    },
    waitForConnection: options.waitForConnection,
    signal: options.signal,
  });

  const retentionMs = options.retentionDays * DAY_MS;
  const database = createDatabase(connection, {
    inFlightMax,
    readConsistency,
    clock,
    onStatement: options.onStatement,
  });
  const userHashes = createUserHashes(database);
  const erasedUsers = createErasedUsers({
    database,
    userHashes,
    retentionMs,
    clock,
    refreshIntervalMs: erasuresRefreshMs,
    log,
  });
  const erasureRecords = createErasureRecords(database, userHashes);
  const claims = createClaims(database);
  // What is left of a retention is written for good.
  const writes = { database, erasedUsers, retentionMs, clock: createExpiryClock(clock) };
  const writeViewers = createViewerWrites({ ...writes, sliceRowsMax });
  const writeHistory = createHistoryWrites(writes);

  /** A view at or before this instant is over, whether or not its TTL has run out yet. */
  const expiredThroughMs = () => clock.nowMs() - retentionMs;
  const withoutExpired = (request: WalkRequest): WalkRequest => ({
    ...request,
    window: { ...request.window, sinceMs: Math.max(request.window.sinceMs, expiredThroughMs() + 1) },
  });

  const store: ImpressionStore = {
    writeViewers,
    writeHistory,
    seenPosts(request, signal) {
      const reads = database.readsUntil(signal);
      return seenPostsPage(reads, createMembership(reads), withoutExpired(request));
    },
    postViewers(request, signal) {
      const reads = database.readsUntil(signal);
      return postViewersPage(reads, createMembership(reads), withoutExpired(request));
    },
    seenAmong: (userId, postIds, rule, signal) =>
      createMembership(database.readsUntil(signal)).seenAmong(userId, postIds, {
        ...rule,
        sinceMs: Math.max(rule.sinceMs, expiredThroughMs() + 1),
      }),
    scan: (after, limit) => scanViews(database, after, limit, expiredThroughMs()),
    eraseUser: (userId, throughUs, onCounted) =>
      eraseUser(database, erasedUsers, { userId, throughUs, clock }, onCounted),
    async erasedThrough(userIds) {
      await erasedUsers.ready();
      const throughs = userIds.map((userId) => [userId, erasedUsers.throughUs(userId)] as const);
      return new Map(throughs.filter(([, throughUs]) => throughUs > 0));
    },
    saveErasure: erasureRecords.save,
    findErasure: erasureRecords.find,
    unfinishedErasures: erasureRecords.unfinished,
    // The nodes have the files.
    scrub: async () => undefined,
    claimErasure: claims.claim,
    releaseErasure: claims.release,
    async health() {
      try {
        await database.read("findReceipt", [PROBE_ID], 1);
        return { healthy: true };
      } catch (error) {
        return { healthy: false, reason: messageOf(error) };
      }
    },
    close() {
      erasedUsers.close();
      return database.close();
    },
  };
  return { store, flavour: () => flavour, close: () => store.close() };
}
