import rateLimit, { normalizeIP } from "@fastify/rate-limit";
import type { FastifyInstance, FastifyRequest, RouteOptions } from "fastify";
import { ApiError } from "../errors.ts";
import { RATE_LIMITED_ADDRESSES_MAX } from "./limits.ts";

const WINDOW_MS = 60_000;
/** Who was refused comes back within this after the minute is over. */
const RETRY_SPREAD_MS = 5_000;
/** Answers of the hot path carry no rate-limit headers; a rejected caller gets the time to wait. */
const NO_HEADERS = {
  "x-ratelimit-limit": false,
  "x-ratelimit-remaining": false,
  "x-ratelimit-reset": false,
} as const;

/**
 * The limit of a route: so many requests in a minute from one address (of IPv6, from one /64). Callers that rate limits
 * don't hold for are not counted, if the route knows them by then.
 *
 * @param perMinute 0: no limit.
 * @param random spreads the callers that come again.
 */
export async function requestLimit(
  fastify: FastifyInstance,
  perMinute: number,
  random: () => number,
): Promise<Pick<RouteOptions, "config">> {
  if (perMinute === 0) return {};
  await fastify.register(rateLimit, {
    global: false,
    cache: RATE_LIMITED_ADDRESSES_MAX,
    addHeaders: { ...NO_HEADERS, "retry-after": false },
    addHeadersOnExceeding: NO_HEADERS,
  });
  return {
    config: {
      rateLimit: {
        max: perMinute,
        timeWindow: WINDOW_MS,
        allowList: ({ caller }: FastifyRequest) => caller?.limited === false,
        errorResponseBuilder: (_request, { ttl }) =>
          new ApiError(
            "RATE_LIMITED",
            "Too many requests. Send the same again after retryAfterMs.",
            Math.ceil(ttl + RETRY_SPREAD_MS * random()),
          ),
      },
    },
  };
}

/** What a request from this address is counted under. */
export function addressOf(request: FastifyRequest): string {
  return normalizeIP(request.ip);
}
