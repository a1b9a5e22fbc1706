import type { Config } from "../../config.ts";
import { diagnoseJetStream } from "../../jetstream/doctor.ts";
import { openJetStreamQueue } from "../../jetstream/open.ts";
import { diagnoseScylla } from "../../scylla/doctor.ts";
import { flavourText } from "../../scylla/flavour.ts";
import { openScyllaStore } from "../../scylla/open.ts";
import { migrateScylla } from "../../scylla/schema/migrate.ts";
import type { EngineModule } from "../engine.ts";

/** Queue in NATS JetStream, store in ScyllaDB or Cassandra. */
export const cluster: EngineModule = {
  async open(config, logger, { waitForStore, clock, onStatement }) {
    const { queue, workerRegistry } = await openJetStreamQueue({
      ...natsSettings(config),
      queueReplicas: config.QUEUE_REPLICAS,
      messagesPerPull: config.WORKER_PULL,
      clock,
      logger,
    });
    try {
      const { store, flavour } = await openScyllaStore({
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
      const database = () => {
        const known = flavour();
        return known === null ? null : flavourText(known);
      };
      return { queue, store, workerRegistry, database, close };
    } catch (error) {
      await queue.close();
      throw error;
    }
  },

  async diagnose(config, logger, { clock }) {
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
  },

  async migrate(config, logger, { dryRun, replicationFactor, clock }) {
    const steps = await migrateScylla({
      settings: scyllaSettings(config),
      retentionDays: config.RETENTION_DAYS,
      dryRun,
      clock,
      ...(replicationFactor === null ? {} : { createKeyspace: { replicationFactor } }),
      logger,
    });
    return steps.map(({ action, what }) => `${action}: ${what}`);
  },
};

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
    connectionsPerHost: config.SCYLLA_CONNECTIONS_PER_HOST,
  };
}
