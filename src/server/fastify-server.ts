import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { fastify as createFastify, type FastifyInstance } from "fastify";
import { BODY_BYTES_MAX } from "../domain/limits.ts";
import type { Clock } from "../domain/time.ts";
import type { Logger } from "../telemetry/logger.ts";
import { clientErrorResponse, failureOf, sendFailure } from "./http-errors.ts";
import { DRAIN_MS_MAX, HEADER_BYTES_MAX, HEADERS_MS_MAX, KEEP_ALIVE_MS, REQUEST_MS_MAX } from "./limits.ts";

export interface HttpServer {
  /** Resolves once connections are accepted. @throws the listen error of Node, such as EADDRINUSE. */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ readonly url: string }>;
  /**
   * Stops accepting, lets requests in flight finish (10 s at most, then their connections are cut), and resolves.
   * Repeated calls wait for the first.
   */
  close(): Promise<void>;
}

/** The caller's own id of the request where that is one, and in the answer the id that stands in the log. */
const REQUEST_ID_HEADER = "x-request-id";
/** What a caller may send into our log: no more, and no other characters. */
const REQUEST_ID = /^[\w.:-]{1,64}$/;

/** While closing: how often connections that carry no request are closed. */
const IDLE_CHECK_MS = 100;
/** Connections that never sent a request count as busy to Node: once nothing was in flight for so long, they are cut. */
const QUIET_MS = 500;

/** A Fastify with our limits, error answers and end, and nothing to serve yet. */
export function createFastifyServer(options: {
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long closing waits for requests in flight. */
  readonly drainMs?: number | undefined;
}): { readonly fastify: FastifyInstance; readonly server: HttpServer } {
  const { clock, logger, drainMs = DRAIN_MS_MAX } = options;
  const fastify = createFastify({
    logger: false,
    genReqId: requestIdOf,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: { maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: HEADERS_MS_MAX },
    forceCloseConnections: "idle",
    // A request that is already on a connection is answered while we close; its answer says that the connection ends.
    return503OnClosing: false,
    frameworkErrors: (error, { id }, reply) => void sendFailure(reply, failureOf(error, id, logger)),
    clientErrorHandler: (error, socket) => {
      if (socket.writable) socket.end(clientErrorResponse(error));
      else socket.destroy();
    },
  });
  let closed: Promise<void> | undefined;
  let inFlight = 0;
  fastify.setErrorHandler((error, { id }, reply) => sendFailure(reply, failureOf(error, id, logger)));
  fastify.addHook("onRequest", async (request, reply) => {
    inFlight++;
    // Fires once, whether the answer was sent or the client went away.
    reply.raw.once("close", () => inFlight--);
    reply.headers({
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      [REQUEST_ID_HEADER]: request.id,
    });
  });
  // Without this, a connection whose request was in flight when closing began would stay open for KEEP_ALIVE_MS.
  fastify.addHook("onSend", (_request, reply, payload, done) => {
    if (closed !== undefined) reply.header("connection", "close");
    done(null, payload);
  });

  async function stop(): Promise<void> {
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
