import { randomUUID } from "node:crypto";
import { readConfig } from "../../src/config.ts";
import { systemClock } from "../../src/domain/time.ts";
import { openEmbeddedEngine } from "../../src/embedded/open.ts";
import { createInMemoryWorkerRegistry } from "../../src/embedded/worker-registry.ts";
import { openJetStreamQueue } from "../../src/jetstream/open.ts";
import type { ImpressionQueue } from "../../src/ports/impression-queue.ts";
import type { ImpressionStore } from "../../src/ports/impression-store.ts";
import { openScyllaStore } from "../../src/scylla/open.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { startWorkers } from "../../src/workers/worker-pool.ts";
import { engineOptions } from "../kit/embedded.ts";
import { strike } from "./fatal-posts.ts";

/**
 * A worker process that some posts are fatal to, for tests of what happens then. It takes the service's environment,
 * works until the queue is empty, and exits with 0:
 *
 *   QUEUE_ACK_WAIT_MS=1000 FROZEN_ONCE=<file> ENGINE=cluster ... node worker-process.ts
 *
 * See fatal-posts.ts.
 */

const SETTLED_CHECK_MS = 50;

async function open(): Promise<{
  readonly queue: ImpressionQueue;
  readonly store: ImpressionStore;
  close(): Promise<void>;
}> {
  const config = readConfig(process.env);
  const ackWaitMs = config.QUEUE_ACK_WAIT_MS;
  const common = { clock: systemClock, logger: createLogger(config.LOG_LEVEL) };
  if (config.ENGINE === "embedded") {
    return openEmbeddedEngine(engineOptions({ dataDir: config.DATA_DIR, ackWaitMs, ...common }));
  }
  const { queue } = await openJetStreamQueue({
    ...common,
    servers: config.NATS_SERVERS,
    namespace: config.NATS_NAMESPACE,
    queueMaxBytes: config.QUEUE_MAX_BYTES,
    queueReplicas: config.QUEUE_REPLICAS,
    deadLetterDays: config.DEAD_LETTER_DAYS,
    deadLetterMaxBytes: config.DEAD_LETTER_MAX_BYTES,
    messagesPerPull: config.WORKER_PULL,
    ackWaitMs,
  });
  const { store } = await openScyllaStore({
    ...common,
    contactPoints: config.SCYLLA_CONTACT_POINTS,
    localDataCenter: config.SCYLLA_LOCAL_DC,
    keyspace: config.SCYLLA_KEYSPACE,
    requestTimeoutMs: config.SCYLLA_REQUEST_TIMEOUT_MS,
    retentionDays: config.RETENTION_DAYS,
    inFlightMax: config.SCYLLA_REQUESTS_MAX,
    waitForConnection: true,
  });
  return {
    queue,
    store,
    async close() {
      await queue.close();
      await store.close();
    },
  };
}

const { queue, store, close } = await open();
const config = readConfig(process.env);
const workers = startWorkers({
  queue,
  store: {
    ...store,
    async writeViewers(postId, views, options) {
      strike(postId, process.env.FROZEN_ONCE ?? "");
      await store.writeViewers(postId, views, options);
    },
  },
  registry: createInMemoryWorkerRegistry(systemClock),
  clock: systemClock,
  monotonicMs: () => performance.now(),
  random: Math.random,
  processId: "test",
  instanceId: randomUUID(),
  loops: config.WORKERS,
  messagesPerPull: config.WORKER_PULL,
  concurrencyMax: config.WORKER_CONCURRENCY_MAX,
  retentionMs: config.retentionMs,
  writeTimeoutMs: 60_000,
  drainTimeoutMs: 10_000,
  logger: createLogger(config.LOG_LEVEL),
});
while ((await queue.stats()).pending > 0)
  await new Promise((resolve) => setTimeout(resolve, SETTLED_CHECK_MS));
await workers.stop();
await close();
