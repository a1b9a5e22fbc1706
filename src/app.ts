import { randomUUID } from "node:crypto";
import type { Config } from "./config.ts";
import type { Finding } from "./domain/finding.ts";
import type { Clock } from "./domain/time.ts";
import { diagnoseEmbedded } from "./embedded/doctor.ts";
import { openEmbeddedEngine } from "./embedded/engine.ts";
import type { Engine } from "./engine.ts";
import { createGroupCommit } from "./ingest/group-commit.ts";
import { createPublisher } from "./ingest/publisher.ts";
import { createReceivedAtClock } from "./ingest/received-at-clock.ts";
import { diagnoseJetStream } from "./jetstream/doctor.ts";
import { openJetStreamQueue } from "./jetstream/open.ts";
import type { ImpressionQueue } from "./ports/impression-queue.ts";
import type { ImpressionStore, OnStatement } from "./ports/impression-store.ts";
import type { WorkerBoard } from "./ports/worker-board.ts";
import { diagnoseScylla } from "./scylla/doctor.ts";
import { migrateScylla } from "./scylla/migrate.ts";
import { openScyllaStore } from "./scylla/store.ts";
import type { Logger } from "./telemetry/logger.ts";
import { createInMemoryBoard } from "./workers/in-memory-board.ts";

/**
 * The composition root: the only file that names adapters. Everything else gets what it needs as arguments.
 */

/** Group commit messages on their way at once: while one is made durable, the next is already handed over. */
const PUBLISHES_IN_FLIGHT_MAX = 2;

/** The opened adapters of an engine. */
interface Adapters {
  readonly queue: ImpressionQueue;
  readonly store: ImpressionStore;
  readonly workerBoard: WorkerBoard;
  close(): Promise<void>;
}

export interface OpenEngineOptions {
  /** While the cluster's store is down: wait for it, or open all the same and fail its calls until it is there. */
  readonly waitForStore: boolean;
  readonly clock: Clock;
  readonly onStatement?: OnStatement;
}

/** Opens the queue and the store that the configuration names. @throws EngineStartError */
export async function openEngine(
  config: Config,
  logger: Logger,
  options: OpenEngineOptions,
): Promise<Engine> {
  const { clock } = options;
  const open = config.ENGINE === "embedded" ? openEmbedded : openCluster;
  const { queue, store, workerBoard, close } = await open(config, logger, options);
  const publish = createPublisher({ queue, timeoutMs: config.PUBLISH_TIMEOUT_MS });
  return {
    name: config.ENGINE,
    queue,
    store,
    workerBoard,
    receivedAt: createReceivedAtClock(clock),
    newGroupCommit: (onMessage = () => undefined) =>
      createGroupCommit({
        publish,
        newMessageId: randomUUID,
        inFlightMax: PUBLISHES_IN_FLIGHT_MAX,
        pendingMutationsMax: config.PENDING_MUTATIONS_MAX,
        pendingBytesMax: config.PENDING_BYTES_MAX,
        waitMsMax: config.PUBLISH_TIMEOUT_MS,
        monotonicMs: clock.monotonicMs,
        onMessage,
      }),
    close,
  };
}

/**
 * Looks at everything that the engine stands on, and changes nothing.
 *
 * @param isServed whether a running service has the embedded engine's directory.
 */
export async function diagnoseEngine(
  config: Config,
  logger: Logger,
  { isServed, clock }: { readonly isServed: boolean; readonly clock: Clock },
): Promise<Finding[]> {
  if (config.ENGINE === "embedded") {
    return diagnoseEmbedded({
      dataDir: config.DATA_DIR,
      queueMaxBytes: config.QUEUE_MAX_BYTES,
      deadLetterMaxBytes: config.DEAD_LETTER_MAX_BYTES,
      isHeld: isServed,
    });
  }
  const findings = await Promise.all([
    diagnoseJetStream({
      ...natsSettings(config),
      replicas: config.QUEUE_REPLICAS,
      clock,
      log: logger,
    }),
    diagnoseScylla({
      settings: scyllaSettings(config),
      retentionDays: config.RETENTION_DAYS,
      clock,
      logger,
    }),
  ]);
  return findings.flat();
}

async function openEmbedded(
  config: Config,
  logger: Logger,
  { clock, onStatement }: Pick<OpenEngineOptions, "clock" | "onStatement">,
): Promise<Adapters> {
  const { queue, store, close } = await openEmbeddedEngine({
    dataDir: config.DATA_DIR,
    queueMaxBytes: config.QUEUE_MAX_BYTES,
    deadLetterMaxBytes: config.DEAD_LETTER_MAX_BYTES,
    deadLetterDays: config.DEAD_LETTER_DAYS,
    ackWaitMs: config.QUEUE_ACK_WAIT_MS,
    retentionMs: config.retentionMs,
    clock,
    onStatement,
    // It would answer 503 for ever. Nothing is lost that a stop in good order could save: nothing can be written.
    onFatal(reason) {
      logger.fatal({ reason }, "the embedded engine can write no more; this process ends, start it again");
      process.exit(1);
    },
  });
  return { queue, store, workerBoard: createInMemoryBoard(clock), close };
}

async function openCluster(
  config: Config,
  logger: Logger,
  { waitForStore, clock, onStatement }: OpenEngineOptions,
): Promise<Adapters> {
  const { queue, workerBoard } = await openJetStreamQueue({
    ...natsSettings(config),
    queueReplicas: config.QUEUE_REPLICAS,
    messagesPerPull: config.WORKER_PULL,
    clock,
    logger,
  });
  try {
    const { store } = await openScyllaStore({
      ...scyllaSettings(config),
      retentionDays: config.RETENTION_DAYS,
      readConsistency: config.READ_CONSISTENCY,
      inFlightMax: config.SCYLLA_REQUESTS_MAX,
      sliceRowsMax: config.SLICE_ROWS_MAX,
      waitForConnection: waitForStore,
      clock,
      onStatement,
      logger,
    });
    const close = async () => {
      try {
        await queue.close();
      } finally {
        await store.close();
      }
    };
    return { queue, store, workerBoard, close };
  } catch (error) {
    await queue.close();
    throw error;
  }
}

/**
 * Brings the store's schema up to date.
 *
 * @param createKeyspace where it is missing, with so many replicas; null refuses.
 * @returns what was done (or would be, in a dry run), a line each. @throws EngineStartError
 */
export async function migrate(
  config: Config,
  logger: Logger,
  {
    dryRun,
    replicationFactor,
    clock,
  }: { readonly dryRun: boolean; readonly replicationFactor: number | null; readonly clock: Clock },
): Promise<string[]> {
  if (config.ENGINE === "embedded") {
    if (dryRun) return [];
    const { close } = await openEmbedded(config, logger, { clock });
    await close();
    return [];
  }
  const steps = await migrateScylla({
    settings: scyllaSettings(config),
    retentionDays: config.RETENTION_DAYS,
    dryRun,
    clock,
    ...(replicationFactor === null ? {} : { createKeyspace: { replicationFactor } }),
    logger,
  });
  return steps.map(({ action, what }) => `${action}: ${what}`);
}

function natsSettings(config: Config) {
  return {
    servers: config.NATS_SERVERS,
    namespace: config.NATS_NAMESPACE,
    user: config.NATS_USER,
    password: config.NATS_PASSWORD,
    credsFile: config.NATS_CREDS,
    tlsCaFile: config.NATS_TLS_CA,
    queueMaxBytes: config.QUEUE_MAX_BYTES,
    deadLetterDays: config.DEAD_LETTER_DAYS,
    deadLetterMaxBytes: config.DEAD_LETTER_MAX_BYTES,
    ackWaitMs: config.QUEUE_ACK_WAIT_MS,
  };
}

function scyllaSettings(config: Config) {
  return {
    contactPoints: config.SCYLLA_CONTACT_POINTS,
    localDataCenter: config.SCYLLA_LOCAL_DC,
    keyspace: config.SCYLLA_KEYSPACE,
    user: config.SCYLLA_USER,
    password: config.SCYLLA_PASSWORD,
    tlsCa: config.SCYLLA_TLS_CA,
    tlsServerName: config.SCYLLA_TLS_SERVER_NAME,
    requestTimeoutMs: config.SCYLLA_REQUEST_TIMEOUT_MS,
  };
}
