import cors from "@fastify/cors";
import type { FastifyInstance } from "fastify";
import { REQUEST_ID_HEADER } from "./fastify-server.ts";
import { PREFLIGHT_S_MAX } from "./limits.ts";
import { REQUEST_TIMEOUT_HEADER } from "./request-timeout.ts";

/**
 * Lets web pages of other origins ask (the browser SDK on a page that is served from elsewhere). Nothing is allowed where the
 * list is empty. There are no cookies, so no credentials: a page sends its token itself.
 *
 * @param options.origins as CORS_ORIGINS has them.
 * @param options.headers what a page may send beside what the API reads.
 */
export async function registerCors(
  fastify: FastifyInstance,
  { origins, headers }: { readonly origins: readonly string[]; readonly headers: readonly string[] },
): Promise<void> {
  if (origins.length === 0) return;
  await fastify.register(cors, {
    origin: origins.map(matcherOf),
    methods: ["GET", "POST"],
    allowedHeaders: [...OWN_HEADERS, ...headers],
    exposedHeaders: ["retry-after", "www-authenticate", REQUEST_ID_HEADER],
    maxAge: PREFLIGHT_S_MAX,
    strictPreflight: false,
  });
}

const OWN_HEADERS = [
  "authorization",
  "content-type",
  "content-encoding",
  "apollo-require-preflight",
  REQUEST_TIMEOUT_HEADER,
  REQUEST_ID_HEADER,
];

/** `https://*.shop.example` is every subdomain, however deep, and not shop.example itself. */
function matcherOf(origin: string): string | RegExp {
  const [scheme = "", host] = origin.split("*.");
  if (host === undefined) return origin;
  const literal = (text: string) => text.replaceAll(/[.+]/g, "\\$&");
  return new RegExp(`^${literal(scheme)}[a-z0-9-][a-z0-9.-]*\\.${literal(host)}$`);
}
