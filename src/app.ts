import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { type DocumentNode, type ExecutionResult, execute } from "graphql";
import { createDeadLetterActions } from "./admin/dead-letter-actions.ts";
import { createErasures, startErasureRunner } from "./admin/erasures.ts";
import type { Config } from "./config.ts";
import { type Clock, systemClock } from "./domain/time.ts";
import { openEmbeddedEngine } from "./embedded/engine.ts";
import type { Engine } from "./engine.ts";
import { createGroupCommit } from "./ingest/group-commit.ts";
import { startPressureGauge } from "./ingest/pressure-gauge.ts";
import { createPublisher } from "./ingest/publisher.ts";
import { createReceivedAtClock } from "./ingest/received-at-clock.ts";
import { createRecorder } from "./ingest/recorder.ts";
import { createLifecycle } from "./lifecycle.ts";
import { createContextFactory, type ResolverDependencies } from "./resolvers/context.ts";
import { buildGraphQLSchema } from "./resolvers/schema.ts";
import { createHttpServer } from "./server/http-server.ts";
import type { Logger } from "./telemetry/logger.ts";
import { createInMemoryBoard } from "./workers/in-memory-board.ts";
import { startWorkers, type Workers } from "./workers/workers.ts";

/**
 * The composition root: the only file that names adapters. Everything below gets what it needs as arguments.
 */

/** Group commit messages on their way at once: while one is written to disk, the next is already handed over. */
const PUBLISHES_IN_FLIGHT_MAX = 2;

/** Opens the queue and the store that the configuration names. @throws EngineStartError */
export async function openEngine(config: Config, clock: Clock = systemClock): Promise<Engine> {
  const { queue, store, close } = await openEmbeddedEngine({
    dataDir: config.DATA_DIR,
    queueMaxBytes: config.QUEUE_MAX_BYTES,
    deadLetterMaxBytes: config.DEAD_LETTER_MAX_BYTES,
    deadLetterDays: config.DEAD_LETTER_DAYS,
    retentionMs: config.retentionMs,
    clock,
  });
  const publish = createPublisher({ queue, timeoutMs: config.PUBLISH_TIMEOUT_MS });
  return {
    name: config.ENGINE,
    queue,
    store,
    workerBoard: createInMemoryBoard(clock),
    receivedAt: createReceivedAtClock(clock),
    newGroupCommit: () =>
      createGroupCommit({
        publish,
        newMessageId: randomUUID,
        inFlightMax: PUBLISHES_IN_FLIGHT_MAX,
        pendingMutationsMax: config.PENDING_MUTATIONS_MAX,
        pendingBytesMax: config.PENDING_BYTES_MAX,
      }),
    close,
  };
}

/** Starts the worker loops of this process on an opened engine. */
export function startEngineWorkers(
  engine: Engine,
  config: Config,
  logger: Logger,
  clock: Clock = systemClock,
): Workers {
  return startWorkers({
    queue: engine.queue,
    store: engine.store,
    board: engine.workerBoard,
    clock,
    random: Math.random,
    processId: `${hostname()}-${process.pid}`,
    loops: config.WORKERS,
    messagesPerPull: config.WORKER_PULL,
    concurrencyMax: config.WORKER_CONCURRENCY_MAX,
    retentionMs: config.retentionMs,
    logger,
  });
}

export interface Service {
  /** Where the API listens. */
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Starts everything in one process: engine, workers, erasures, API. Stopping goes the other way: the API finishes its
 * requests, what they enqueued is made durable, the workers settle what they hold, the engine closes.
 *
 * @throws EngineStartError, or the listen error; whatever was started by then is stopped again.
 */
export async function startService(config: Config, logger: Logger, version: string): Promise<Service> {
  const clock = systemClock;
  const lifecycle = createLifecycle(logger);
  try {
    const engine = await openEngine(config, clock);
    lifecycle.onStop("the engine", engine.close);

    const workers = startEngineWorkers(engine, config, logger, clock);
    lifecycle.onStop("the workers", workers.stop);
    const erasureRunner = startErasureRunner({ store: engine.store, queue: engine.queue, clock, logger });
    lifecycle.onStop("the erasures", erasureRunner.stop);

    const groupCommit = engine.newGroupCommit();
    lifecycle.onStop("the group commit", groupCommit.drain);
    const gauge = startPressureGauge({
      queue: engine.queue,
      usedShares: groupCommit.usedShares,
      random: Math.random,
    });
    lifecycle.onStop("the pressure gauge", gauge.stop);

    const server = await createHttpServer({
      ...resolverDependencies(engine, config, clock, {
        recorder: createRecorder({
          groupCommit,
          receivedAt: engine.receivedAt,
          flushAfterMs: gauge.flushAfterMs,
        }),
        onErasureRequest: erasureRunner.wake,
      }),
      playground: config.PLAYGROUND,
      introspection: config.INTROSPECTION,
      logger,
      version,
      readiness: async () => {
        const [queue, store] = await Promise.all([engine.queue.health(), engine.store.health()]);
        const phase = lifecycle.phase().name;
        return {
          ready: phase === "running" && queue.healthy,
          body: { phase, engine: engine.name, queue, store, workersPaused: workers.paused() },
        };
      },
    });
    lifecycle.onStop("the API", server.close);
    const { url } = await server.listen({ host: config.HOST, port: config.PORT });
    lifecycle.running();
    return { url, stop: lifecycle.stop };
  } catch (error) {
    await lifecycle.stop().catch(() => undefined);
    throw error;
  }
}

/** The GraphQL API in this process, without HTTP: what operator commands use where no service runs. */
export async function openLocalApi(config: Config): Promise<LocalApi> {
  const clock = systemClock;
  const engine = await openEngine(config, clock);
  const groupCommit = engine.newGroupCommit();
  const recorder = createRecorder({ groupCommit, receivedAt: engine.receivedAt, flushAfterMs: () => 0 });
  const dependencies = resolverDependencies(engine, config, clock, {
    recorder,
    onErasureRequest: () => undefined,
  });
  const schema = await buildGraphQLSchema();
  const newContext = createContextFactory(dependencies);
  return {
    execute: (document, variableValues) =>
      execute({ schema, document, variableValues, contextValue: newContext() }) as Promise<ExecutionResult>,
    async close() {
      await groupCommit.drain();
      await engine.close();
    },
  };
}

export interface LocalApi {
  execute(document: DocumentNode, variables: Record<string, unknown>): Promise<ExecutionResult>;
  close(): Promise<void>;
}

/** What the resolvers need of an engine. */
function resolverDependencies(
  engine: Engine,
  config: Config,
  clock: Clock,
  writeSide: Pick<ResolverDependencies, "recorder"> & { readonly onErasureRequest: () => void },
): ResolverDependencies {
  return {
    recorder: writeSide.recorder,
    store: engine.store,
    queue: engine.queue,
    workerBoard: engine.workerBoard,
    erasures: createErasures({
      store: engine.store,
      newId: randomUUID,
      receivedAt: engine.receivedAt,
      onRequest: writeSide.onErasureRequest,
    }),
    deadLetterActions: createDeadLetterActions(engine.queue),
    clock,
    retentionMs: config.retentionMs,
    engine: engine.name,
  };
}
