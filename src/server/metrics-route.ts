import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance } from "fastify";
import type { Clock } from "../domain/time.ts";
import { ApiError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createFastifyServer, type HttpServer } from "./fastify-server.ts";

/** What /metrics serves, and the token that it asks for. */
export interface MetricsEndpoint {
  readonly exposition: () => Promise<{ readonly contentType: string; readonly text: string }>;
  /** Asked for as `authorization: Bearer ...`; null serves every client that can connect. */
  readonly token: string | null;
}

/** `/metrics`, for Prometheus. */
export function registerMetrics(fastify: FastifyInstance, { exposition, token }: MetricsEndpoint): void {
  const isAllowed = token === null ? () => true : bearerCheck(token);
  fastify.get("/metrics", async (request, reply) => {
    reply.header("cache-control", "no-store");
    if (!isAllowed(request.headers.authorization)) {
      throw new ApiError("UNAUTHENTICATED", "Send METRICS_TOKEN as a bearer token.");
    }
    const { contentType, text } = await exposition();
    return reply.header("content-type", contentType).send(text);
  });
}

/** `/metrics` on a port of its own, and nothing else there. */
export function createMetricsServer(deps: {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsEndpoint;
}): HttpServer {
  const { fastify, server } = createFastifyServer(deps);
  registerMetrics(fastify, deps.metrics);
  return server;
}

function bearerCheck(token: string): (authorization: string | undefined) => boolean {
  const expected = digestOf(`Bearer ${token}`);
  // Digests have one length, and comparing them takes the same time wherever they differ.
  return (authorization = "") => timingSafeEqual(digestOf(authorization), expected);
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
