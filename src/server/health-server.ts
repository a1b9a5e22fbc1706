import type { Clock } from "../domain/time.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createFastifyServer, type HttpServer } from "./fastify-server.ts";
import { type Readiness, registerHealth } from "./health.ts";

/** What a worker process serves: /healthz and /readyz, nothing else. */
export function createHealthServer(options: {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly version: string;
  readonly readiness: () => Promise<Readiness>;
}): HttpServer {
  const { fastify, server } = createFastifyServer(options);
  registerHealth(fastify, options);
  return server;
}
