import cors from "@fastify/cors";
import type { FastifyInstance } from "fastify";
import { REQUEST_ID_HEADER } from "./fastify-server.ts";
import { PREFLIGHT_S_MAX } from "./limits.ts";
import { REQUEST_TIMEOUT_HEADER } from "./request-timeout.ts";

/**
 * Lets web pages of other origins ask (the browser SDK on a page that is served from elsewhere). Nothing is allowed where the
 * list is empty. There are no cookies, so no credentials: a page sends its token itself.
 */
export async function registerCors(fastify: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await fastify.register(cors, {
    origin: [...origins],
    methods: ["GET", "POST"],
    allowedHeaders: [
      "authorization",
      "content-type",
      "apollo-require-preflight",
      REQUEST_TIMEOUT_HEADER,
      REQUEST_ID_HEADER,
    ],
    exposedHeaders: ["retry-after", "www-authenticate", REQUEST_ID_HEADER],
    maxAge: PREFLIGHT_S_MAX,
    strictPreflight: false,
  });
}
