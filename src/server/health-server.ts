import type { Clock } from "../domain/time.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createFastifyServer, type HttpServer } from "./fastify-server.ts";
import { type Readiness, registerHealth } from "./health.ts";
import { type MetricsEndpoint, registerMetrics } from "./metrics-route.ts";

/** What a worker process serves: /healthz, /readyz and /metrics, nothing else. */
export function createHealthServer(options: {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly version: string;
  readonly readiness: () => Promise<Readiness>;
  /** Null where they are served elsewhere, or nowhere. */
  readonly metrics: MetricsEndpoint | null;
}): HttpServer {
  const { fastify, server } = createFastifyServer(options);
  registerHealth(fastify, options);
  if (options.metrics !== null) registerMetrics(fastify, options.metrics);
  return server;
}
