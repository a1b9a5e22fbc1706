import type { Role, RunningService } from "../cli/dependencies.ts";
import type { Config } from "../config.ts";
import type { GuardedClock } from "../domain/guarded-clock.ts";
import type { Clock } from "../domain/time.ts";
import { startPressureGauge } from "../ingest/pressure-gauge.ts";
import { createApiMetrics } from "../metrics/api-metrics.ts";
import { createClockMetrics } from "../metrics/clock-metrics.ts";
import { watchEngine } from "../metrics/engine-metrics.ts";
import { createMetrics } from "../metrics/metrics.ts";
import { createStoreMetrics } from "../metrics/store-metrics.ts";
import { createWorkMetrics, type WorkMetrics } from "../metrics/work-metrics.ts";
import type { Health } from "../ports/impression-queue.ts";
import { healthWithin } from "../resolvers/health-within.ts";
import type { HttpServer } from "../server/fastify-server.ts";
import { createHealthServer } from "../server/health-server.ts";
import { createMetricsServer, type MetricsEndpoint } from "../server/metrics-route.ts";
import { readOperations } from "../server/operations.ts";
import { OTHER_OPERATION } from "../server/request-observer.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Workers } from "../workers/workers.ts";
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
  try {
    // The API takes mutations while the store is down, and a worker tells on /readyz that it waits for it.
    const { registers, exposition } = createMetrics({ version, role, engine: config.ENGINE });
    const { onStatement } = createStoreMetrics(registers);
    const clockWatch = watchClock(clock, logger);
    createClockMetrics(registers, clock);
    lifecycle.onStop("the look at the clock", clockWatch.stop);
    const engine = await openEngine(config, logger, { waitForStore: false, clock, onStatement });
    lifecycle.onStop("the engine", engine.close);
    watchEngine(registers, engine);
    const metrics: MetricsEndpoint | null = config.METRICS
      ? { exposition, token: config.METRICS_TOKEN ?? null }
      : null;
    const metricsPort = config.METRICS_PORT;
    if (metrics !== null && metricsPort !== undefined) {
      const metricsServer = createMetricsServer({ clock, logger, metrics });
      lifecycle.onStop("the metrics server", metricsServer.close);
      const { url } = await metricsServer.listen({ host: config.HOST, port: metricsPort });
      logger.info({ url: `${url}/metrics` }, "metrics are served on a port of their own");
    }
    const metricsHere = metricsPort === undefined ? metrics : null;

    const workSide =
      role === "api"
        ? null
        : startWorkSide(engine, config, logger, clock, lifecycle, createWorkMetrics(registers));
    const readiness = async () => {
      const [queue, store] = await Promise.all([healthWithin(engine.queue), healthWithin(engine.store)]);
      const hostClock = clockWatch.health();
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
    };

    let server: HttpServer;
    if (role === "worker") {
      server = await createHealthServer({ clock, logger, version, readiness, metrics: metricsHere });
    } else {
      const apiMetrics = createApiMetrics(registers, [
        ...(await readOperations()).map(({ name }) => name),
        OTHER_OPERATION,
      ]);
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
      server = await createApi(engine, config, {
        clock,
        logger,
        version,
        groupCommit,
        flushAfterMs: gauge.flushAfterMs,
        onErasureRequest: () => workSide?.wakeErasures(),
        onReplayed: apiMetrics.onReplayed,
        readiness,
        metrics: metricsHere,
        onRequest: apiMetrics.onRequest,
        onCutOff: apiMetrics.onCutOff,
      });
    }
    lifecycle.onStop("the HTTP server", server.close);
    const { url } = await server.listen({ host: config.HOST, port: config.PORT });
    lifecycle.running();
    return { url, stop: lifecycle.stop };
  } catch (error) {
    await lifecycle.stop().catch(() => undefined);
    throw error;
  }
}

/**
 * A mutation can be taken while nothing is delivered, and while the store is away; but a worker that gets nothing, and a
 * store that does not come back by itself, have to be looked at.
 */
function isReady(role: Role, queue: Health, store: Health): boolean {
  if (!queue.healthy || (!store.healthy && store.lasting === true)) return false;
  return role !== "worker" || queue.notDelivering === undefined;
}

/** The workers and the erasures; registered with the lifecycle. */
function startWorkSide(
  engine: Engine,
  config: Config,
  logger: Logger,
  clock: Clock,
  lifecycle: Lifecycle,
  metrics: WorkMetrics,
): { readonly workers: Workers; readonly wakeErasures: () => void } {
  const workers = startEngineWorkers(engine, config, logger, clock, metrics.onStored);
  metrics.watchWorkers(workers);
  lifecycle.onStop("the workers", workers.stop);
  const erasures = startErasures(engine, config, logger, clock);
  metrics.watchErasures(erasures);
  lifecycle.onStop("the erasures", erasures.stop);
  return { workers, wakeErasures: erasures.wake };
}
