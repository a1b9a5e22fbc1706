import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fastify as createFastify, type FastifyInstance } from "fastify";
import { BODY_BYTES_MAX } from "../domain/limits.ts";
import type { Clock } from "../domain/time.ts";
import type { Logger } from "../telemetry/logger.ts";
import { tooLongHeader } from "./header-limits.ts";
import { createHoldings, type Holding } from "./holdings.ts";
import { clientErrorResponse, failureOf, sendFailure } from "./http-errors.ts";
import {
  ANSWERS_BYTES_MAX,
  ANSWERS_MS_MAX,
  BODIES_BYTES_MAX,
  CONNECTIONS_CHECK_MS,
  DRAIN_MS_MAX,
  HEADER_BYTES_MAX,
  HEADERS_MS_MAX,
  KEEP_ALIVE_MS,
  REQUEST_MS_MAX,
} from "./limits.ts";
import type { CutOff } from "./request-observer.ts";

declare module "fastify" {
  interface FastifyReply {
    /** What of it is not sent yet; null before its request was looked at. */
    holding: Holding | null;
  }
}

export interface HttpServer {
  /** Resolves once connections are accepted. @throws the listen error of Node, such as EADDRINUSE. */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ readonly url: string }>;
  /**
   * Says with every answer that its connection ends, for `closeDelayMs`; then stops accepting, lets requests in flight
   * finish (10 s at most, then their connections are cut), and resolves.
   * Repeated calls wait for the first.
   */
  close(): Promise<void>;
}

/** The caller's own id of the request where that is one, and in the answer the id that stands in the log. */
export const REQUEST_ID_HEADER = "x-request-id";
/** What a caller may send into our log: no more, and no other characters. */
const REQUEST_ID = /^[\w.:-]{1,64}$/;

/** While closing: how often connections that carry no request are closed. */
const IDLE_CHECK_MS = 100;
/** Connections that never sent a request count as busy to Node: once nothing was in flight for so long, they are cut. */
const QUIET_MS = 500;

/** How long a request may take to arrive, and how often that is looked at. */
export interface ArrivalLimits {
  readonly headersMs: number;
  readonly requestMs: number;
  readonly checkMs: number;
}
const ARRIVAL: ArrivalLimits = {
  headersMs: HEADERS_MS_MAX,
  requestMs: REQUEST_MS_MAX,
  checkMs: CONNECTIONS_CHECK_MS,
};

/** What callers may make the process hold for them, as in limits.ts. */
export interface HeldLimits {
  readonly bodiesBytesMax: number;
  readonly answersBytesMax: number;
  readonly answersMsMax: number;
}
export const HELD: HeldLimits = {
  bodiesBytesMax: BODIES_BYTES_MAX,
  answersBytesMax: ANSWERS_BYTES_MAX,
  answersMsMax: ANSWERS_MS_MAX,
};

/** Which `X-Forwarded-For` is believed: none, that of so many proxies, or that of proxies at these addresses. */
export type TrustProxy = false | number | readonly string[];

/** For every answer. A page has a content policy of its own; in whatever else is served a browser runs nothing. */
const SECURITY_HEADERS = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
};

/** A Fastify with our limits, error answers and end, and nothing to serve yet. */
export function createFastifyServer(options: {
  readonly clock: Clock;
  readonly logger: Logger;
  /** How the address of a request's sender is found. */
  readonly trustProxy?: TrustProxy;
  /**
   * How long closing goes on taking requests, until their senders have noticed: /readyz says so, and
   * the end of each connection. Not at all unless given.
   */
  readonly closeDelayMs?: number | undefined;
  /** How long closing waits for requests in flight. */
  readonly drainMs?: number | undefined;
  /** How long a request may take to arrive. */
  readonly arrival?: ArrivalLimits | undefined;
  /** What callers may make the process hold. */
  readonly held?: HeldLimits;
  /** Connections at once; no limit unless given. */
  readonly connectionsMax?: number | undefined;
  readonly onCutOff?: ((what: CutOff) => void) | undefined;
}): { readonly fastify: FastifyInstance; readonly server: HttpServer } {
  const {
    clock,
    logger,
    trustProxy = false,
    closeDelayMs = 0,
    drainMs = DRAIN_MS_MAX,
    arrival = ARRIVAL,
    held = HELD,
    onCutOff = () => undefined,
  } = options;
  const fastify = createFastify({
    logger: false,
    genReqId: requestIdOf,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: arrival.requestMs,
    trustProxy: trustedBy(trustProxy),
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: arrival.headersMs,
      connectionsCheckingInterval: arrival.checkMs,
    },
    forceCloseConnections: "idle",
    // A request that is already on a connection is answered while we close; its answer says that the connection ends.
    return503OnClosing: false,
    frameworkErrors: (error, { id }, reply) => void sendFailure(reply, failureOf(error, id, logger)),
    clientErrorHandler: (error, socket) => {
      if (socket.writable) socket.end(clientErrorResponse(error));
      else socket.destroy();
    },
  });
  const answers = createHoldings<ServerResponse>({
    bytesMax: held.answersBytesMax,
    msMax: held.answersMsMax,
    monotonicMs: clock.monotonicMs,
    cutOff(response) {
      onCutOff("answer");
      response.destroy();
    },
  });
  const expiring = setInterval(answers.expire, arrival.checkMs).unref();
  if (options.connectionsMax !== undefined) fastify.server.maxConnections = options.connectionsMax;
  fastify.server.on("drop", () => {
    onCutOff("connection");
    // Idle connections make room for the next.
    fastify.server.closeIdleConnections();
  });
  let closed: Promise<void> | undefined;
  let inFlight = 0;
  fastify.setErrorHandler((error, { id }, reply) => sendFailure(reply, failureOf(error, id, logger)));
  fastify.decorateRequest("outcome", null);
  fastify.decorateReply("holding", null);
  fastify.addHook("onRequest", (request, reply, done) => {
    inFlight++;
    const holding = answers.open(reply.raw);
    reply.holding = holding;
    // Fires once, whether the answer was sent or the client went away; `once` would make a wrapper for that.
    reply.raw.on("close", () => {
      inFlight--;
      holding.release();
    });
    reply.headers(SECURITY_HEADERS).header(REQUEST_ID_HEADER, request.id);
    const tooLong = tooLongHeader(request.headers);
    if (tooLong !== null) {
      sendFailure(reply, { status: 431, error: tooLong });
      return;
    }
    if (trustProxy !== false) forgetPorts(request.raw);
    done();
  });
  fastify.addHook("onSend", (_request, reply, payload, done) => {
    if (typeof payload === "string" || Buffer.isBuffer(payload))
      reply.holding?.add(Buffer.byteLength(payload));
    // Else a connection whose request was in flight when closing began would stay open for KEEP_ALIVE_MS.
    if (closed !== undefined) reply.header("connection", "close");
    done(null, payload);
  });

  async function stop(): Promise<void> {
    if (closeDelayMs > 0) await sleep(closeDelayMs);
    const startedMs = clock.monotonicMs();
    let busyMs = startedMs;
    const ending = setInterval(() => {
      const nowMs = clock.monotonicMs();
      if (inFlight > 0) busyMs = nowMs;
      if (nowMs - busyMs >= QUIET_MS || nowMs - startedMs >= drainMs) fastify.server.closeAllConnections();
      else fastify.server.closeIdleConnections();
    }, IDLE_CHECK_MS);
    try {
      await fastify.close();
    } finally {
      clearInterval(ending);
      clearInterval(expiring);
    }
  }

  return {
    fastify,
    server: {
      listen: async (address) => ({ url: await fastify.listen({ ...address }) }),
      close() {
        closed ??= stop();
        return closed;
      },
    },
  };
}

function requestIdOf({ headers }: IncomingMessage): string {
  const asked = headers[REQUEST_ID_HEADER];
  return typeof asked === "string" && REQUEST_ID.test(asked) ? asked : randomUUID();
}

/** Some gateways write `address:port`, which neither counts as an address that was seen before nor as that of a proxy. */
function forgetPorts({ headers }: IncomingMessage): void {
  const forwardedFor = headers["x-forwarded-for"];
  if (typeof forwardedFor === "string")
    headers["x-forwarded-for"] = forwardedFor.split(",").map(hostOf).join(",");
}

/** `203.0.113.10:40000`, `[2001:db8::1]:40000` or `[2001:db8::1]` without brackets and port; anything else as it is. */
function hostOf(forwarded: string): string {
  const [, ipv4, ipv6] = /^(?:([\d.]+):\d+|\[([\da-f:.]+)\](?::\d+)?)$/i.exec(forwarded.trim()) ?? [];
  return ipv4 ?? ipv6 ?? forwarded;
}

function trustedBy(trustProxy: TrustProxy): boolean | string[] | ((address: string, hop: number) => boolean) {
  if (typeof trustProxy === "number") return (_address, hop) => hop < trustProxy;
  return trustProxy === false ? false : [...trustProxy];
}
