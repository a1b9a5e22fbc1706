import type { Role, RunningService } from "../cli/dependencies.ts";
import type { Config } from "../config.ts";
import type { GuardedClock } from "../domain/guarded-clock.ts";
import { startPressureGauge } from "../ingest/pressure-gauge.ts";
import { type ApiMetrics, createApiMetrics } from "../metrics/api-metrics.ts";
import { createClockMetrics } from "../metrics/clock-metrics.ts";
import { watchEngine } from "../metrics/engine-metrics.ts";
import { createMetrics } from "../metrics/metrics.ts";
import { createStoreMetrics } from "../metrics/store-metrics.ts";
import { createWorkMetrics, type WorkMetrics } from "../metrics/work-metrics.ts";
import type { Health } from "../ports/impression-queue.ts";
import { healthWithin } from "../resolvers/health-within.ts";
import type { HttpServer } from "../server/fastify-server.ts";
import type { Readiness } from "../server/health.ts";
import { createHealthServer } from "../server/health-server.ts";
import { createMetricsServer, type MetricsEndpoint } from "../server/metrics-route.ts";
import { readOperations } from "../server/operations.ts";
import { OTHER_OPERATION } from "../server/request-observer.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Workers } from "../workers/worker-pool.ts";
import { createApi } from "./api.ts";
import { watchClock } from "./clock-watch.ts";
import type { Engine } from "./engine.ts";
import { createLifecycle, type Lifecycle } from "./lifecycle.ts";
import { openEngine } from "./open-engine.ts";
import { startEngineWorkers, startErasures } from "./start-workers.ts";

/**
 * Starts the parts of a role in one process: engine, workers and erasures, API. Stopping goes the other way: /readyz
 * says so, the API finishes its requests, what they enqueued is made durable, the workers end what is in flight, the engine closes.
 *
 * @throws EngineStartError, or the listen error; whatever was started by then is stopped again.
 */
export async function startService(
  role: Role,
  config: Config,
  logger: Logger,
  version: string,
  clock: GuardedClock,
): Promise<RunningService> {
  const lifecycle = createLifecycle(logger);
  const process: ServiceProcess = { role, config, logger, version, clock, lifecycle };
  try {
    const { registers, exposition } = createMetrics({ version, role, engine: config.ENGINE });
    const { onStatement } = createStoreMetrics(registers);
    const clockWatch = watchClock(clock, logger);
    createClockMetrics(registers, clock);
    lifecycle.onStop("the look at the clock", clockWatch.stop);
    // The API takes mutations while the store is down, and a worker says on /readyz that it waits for the store.
    const engine = await openEngine(config, logger, { waitForStore: false, clock, onStatement });
    lifecycle.onStop("the engine", engine.close);
    watchEngine(registers, engine);
    const metrics = await serveMetricsApart(
      process,
      config.METRICS ? { exposition, token: config.METRICS_TOKEN ?? null } : null,
    );
    const workSide = role === "api" ? null : startWorkSide(process, engine, createWorkMetrics(registers));
    const readiness = () => readinessOf(process, engine, clockWatch.health(), workSide);
    const server =
      role === "worker"
        ? await createHealthServer({ clock, logger, version, readiness, metrics })
        : await createApiServer(process, engine, {
            readiness,
            metrics,
            apiMetrics: createApiMetrics(registers, [
              ...(await readOperations()).map(({ name }) => name),
              OTHER_OPERATION,
            ]),
            onErasureRequest: () => workSide?.wakeErasures(),
          });
    lifecycle.onStop("the HTTP server", server.close);
    const { url } = await server.listen({ host: config.HOST, port: config.PORT });
    lifecycle.running();
    return { url, stop: lifecycle.stop };
  } catch (error) {
    await lifecycle.stop().catch(() => undefined);
    throw error;
  }
}

/** What every part of a process is started with. */
interface ServiceProcess {
  readonly role: Role;
  readonly config: Config;
  readonly logger: Logger;
  readonly version: string;
  readonly clock: GuardedClock;
  readonly lifecycle: Lifecycle;
}

/** @returns what the process's own port serves at /metrics: nothing where METRICS_PORT is another one. */
async function serveMetricsApart(
  { config, logger, clock, lifecycle }: ServiceProcess,
  metrics: MetricsEndpoint | null,
): Promise<MetricsEndpoint | null> {
  const { METRICS_PORT: port, HOST: host } = config;
  if (port === undefined || metrics === null) return metrics;
  const server = createMetricsServer({ clock, logger, metrics });
  lifecycle.onStop("the metrics server", server.close);
  const { url } = await server.listen({ host, port });
  logger.info({ url: `${url}/metrics` }, "metrics are served on a port of their own");
  return null;
}

async function readinessOf(
  { role, lifecycle }: ServiceProcess,
  engine: Engine,
  hostClock: Health,
  workSide: WorkSide | null,
): Promise<Readiness> {
  const [queue, store] = await Promise.all([healthWithin(engine.queue), healthWithin(engine.store)]);
  const phase = lifecycle.phase().name;
  return {
    ready: phase === "running" && isReady(role, queue, store) && hostClock.healthy,
    body: {
      role,
      phase,
      engine: engine.name,
      queue,
      store,
      clock: hostClock,
      ...(workSide === null ? {} : { workersPaused: workSide.workers.paused() }),
    },
  };
}

/** The API with its group commit; what it enqueued is made durable before the engine closes. */
function createApiServer(
  { config, logger, version, clock, lifecycle }: ServiceProcess,
  engine: Engine,
  parts: {
    readonly readiness: () => Promise<Readiness>;
    readonly metrics: MetricsEndpoint | null;
    readonly apiMetrics: ApiMetrics;
    readonly onErasureRequest: () => void;
  },
): Promise<HttpServer> {
  const { readiness, metrics, apiMetrics, onErasureRequest } = parts;
  const groupCommit = engine.newGroupCommit((message) => {
    apiMetrics.onMessage(message);
    if (!message.confirmed) logger.debug({ message }, "the queue has not confirmed a message");
  });
  apiMetrics.watchGroupCommit(groupCommit.usedShares);
  lifecycle.onStop("the group commit", groupCommit.drain);
  const gauge = startPressureGauge({
    queue: engine.queue,
    usedShares: groupCommit.usedShares,
    random: Math.random,
  });
  lifecycle.onStop("the pressure gauge", gauge.stop);
  return createApi(engine, config, {
    clock,
    logger,
    version,
    groupCommit,
    flushAfterMs: gauge.flushAfterMs,
    onErasureRequest,
    onReplayed: apiMetrics.onReplayed,
    readiness,
    metrics,
    onRequest: apiMetrics.onRequest,
    onCutOff: apiMetrics.onCutOff,
  });
}

/**
 * A mutation can be taken while nothing is delivered, and while the store is away; but a worker that gets nothing, and a
 * store that does not come back by itself, have to be looked at.
 */
function isReady(role: Role, queue: Health, store: Health): boolean {
  if (!queue.healthy || (!store.healthy && store.lasting === true)) return false;
  return role !== "worker" || queue.notDelivering === undefined;
}

interface WorkSide {
  readonly workers: Workers;
  readonly wakeErasures: () => void;
}

/** The workers and the erasures; registered with the lifecycle. */
function startWorkSide(
  { config, logger, clock, lifecycle }: ServiceProcess,
  engine: Engine,
  metrics: WorkMetrics,
): WorkSide {
  const workers = startEngineWorkers(engine, config, logger, clock, metrics.onStored);
  metrics.watchWorkers(workers);
  lifecycle.onStop("the workers", workers.stop);
  const erasures = startErasures(engine, config, logger, clock);
  metrics.watchErasures(erasures);
  lifecycle.onStop("the erasures", erasures.stop);
  return { workers, wakeErasures: erasures.wake };
}
