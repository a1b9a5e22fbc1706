import { randomUUID } from "node:crypto";
import { openAuthenticator } from "../access/open.ts";
import { createDeadLetterActions } from "../admin/dead-letter-actions.ts";
import { createErasures } from "../admin/erasures.ts";
import type { Config } from "../config.ts";
import type { Clock } from "../domain/time.ts";
import type { GroupCommit } from "../ingest/group-commit.ts";
import { openImpressionLimit } from "../ingest/impression-limit.ts";
import { createRecorder } from "../ingest/recorder.ts";
import type { ResolverDependencies } from "../resolvers/context.ts";
import type { HttpServer } from "../server/fastify-server.ts";
import { createHttpServer, type HttpServerDependencies } from "../server/http-server.ts";
import type { Engine } from "./engine.ts";

/** The API's part of the composition root: what the resolvers and the HTTP server get of an engine and a configuration. */

/** What the API is given beside these. */
export interface WriteSide {
  readonly clock: Clock;
  readonly groupCommit: GroupCommit;
  /** When clients should send next; at once unless given. */
  readonly flushAfterMs?: () => number;
  /** Wakes the erasures of this process. */
  readonly onErasureRequest: () => void;
  readonly onReplayed?: (letters: number) => void;
}

/** What the resolvers need. */
export function resolverDependencies(
  engine: Engine,
  config: Config,
  { clock, groupCommit, flushAfterMs = () => 0, onErasureRequest, onReplayed }: WriteSide,
): ResolverDependencies {
  return {
    recorder: createRecorder({ groupCommit, receivedAt: engine.receivedAt, clock, flushAfterMs }),
    impressionLimit: openImpressionLimit(
      { perMinute: config.IMPRESSIONS_PER_MINUTE_MAX, perDay: config.IMPRESSIONS_PER_DAY_MAX },
      clock,
    ),
    store: engine.store,
    queue: engine.queue,
    workerRegistry: engine.workerRegistry,
    erasures: createErasures({
      store: engine.store,
      newId: randomUUID,
      receivedAt: engine.receivedAt,
      onRequest: onErasureRequest,
    }),
    deadLetterActions: createDeadLetterActions(engine.queue, onReplayed),
    clock,
    retentionMs: config.retentionMs,
    engine: engine.name,
    database: engine.database,
  };
}

/** What of the HTTP server differs between processes that have the same engine and configuration. */
type OfProcess = Pick<
  HttpServerDependencies,
  "logger" | "version" | "readiness" | "metrics" | "onRequest" | "onCutOff"
>;

/**
 * The API over HTTP, as each process that serves one has it; tests take it as well.
 *
 * @param replace puts others in place of some parts. @throws where the keys for tokens cannot be used.
 */
export async function createApi(
  engine: Engine,
  config: Config,
  parts: WriteSide & OfProcess,
  replace: (parts: HttpServerDependencies) => Partial<HttpServerDependencies> = () => ({}),
): Promise<HttpServer> {
  const dependencies = await httpServerDependencies(engine, config, parts);
  return createHttpServer({ ...dependencies, ...replace(dependencies) });
}

async function httpServerDependencies(
  engine: Engine,
  config: Config,
  parts: WriteSide & OfProcess,
): Promise<HttpServerDependencies> {
  const { clock, logger, version, readiness, metrics, onRequest, onCutOff } = parts;
  return {
    ...resolverDependencies(engine, config, parts),
    playground: config.PLAYGROUND,
    introspection: config.INTROSPECTION,
    requestsPerMinuteMax: config.REQUESTS_PER_MINUTE_MAX,
    corsOrigins: config.CORS_ORIGINS,
    corsHeaders: config.CORS_HEADERS,
    trustProxy: config.TRUST_PROXY,
    connectionsMax: config.CONNECTIONS_MAX,
    authenticator: await openAuthenticator(config.tokens, { clock, random: Math.random, logger }),
    requestTimeoutMs: config.REQUEST_TIMEOUT_MS,
    closeDelayMs: config.SHUTDOWN_DELAY_MS,
    queryLimits: { costMax: config.QUERY_COST_MAX, depthMax: config.QUERY_DEPTH_MAX },
    jit: config.GRAPHQL_JIT,
    trustedDocuments: { mode: config.TRUSTED_DOCUMENTS, file: config.TRUSTED_DOCUMENTS_FILE ?? null },
    logger,
    version,
    readiness,
    metrics,
    onRequest,
    onCutOff,
  };
}
