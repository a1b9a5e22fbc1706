import type { Authenticator } from "../access/authenticator.ts";
import { createContextFactory, type ResolverDependencies } from "../resolvers/context.ts";
import type { QueryLimits } from "../resolvers/query-cost.ts";
import { startRequestBudget } from "../resolvers/request-budget.ts";
import { buildGraphQLSchema } from "../resolvers/schema.ts";
import type { Logger } from "../telemetry/logger.ts";
import { startApollo } from "./apollo.ts";
import { registerCors } from "./cors.ts";
import { createFailedRequestLog } from "./failed-request-log.ts";
import {
  type ArrivalLimits,
  createFastifyServer,
  HELD,
  type HeldLimits,
  type HttpServer,
  type TrustProxy,
} from "./fastify-server.ts";
import { registerGraphQL } from "./graphql-route.ts";
import { type Readiness, registerHealth } from "./health.ts";
import { registerHome } from "./home.ts";
import { type MetricsEndpoint, registerMetrics } from "./metrics-route.ts";
import { readOperations } from "./operations.ts";
import { registerPlayground } from "./playground.ts";
import { acceptJsonOnly } from "./request-body.ts";
import { type CutOff, createRequestObserver, type ObservedRequest } from "./request-observer.ts";
import { requestTimeoutMs } from "./request-timeout.ts";
import { readTrustedDocuments, type TrustedMode } from "./trusted-documents.ts";

export interface HttpServerDependencies extends ResolverDependencies {
  /** Whether to serve /playground. */
  readonly playground: boolean;
  /** Whether callers may ask for the schema. */
  readonly introspection: boolean;
  readonly queryLimits: QueryLimits;
  /** Null: no token is asked for. */
  readonly authenticator: Authenticator | null;
  /** Requests to /graphql from one address; 0 for no limit. */
  readonly requestsPerMinuteMax: number;
  /** Web pages of these origins may ask. */
  readonly corsOrigins: readonly string[];
  /** Headers that such a page may send beside what the API reads. */
  readonly corsHeaders: readonly string[];
  readonly trustProxy: TrustProxy;
  /** Whether operations that keep coming are compiled instead of interpreted. */
  readonly jit: boolean;
  readonly trustedDocuments: {
    readonly mode: TrustedMode;
    /** The operator's own list; null for none. */
    readonly file: string | null;
  };
  readonly logger: Logger;
  readonly version: string;
  readonly readiness: () => Promise<Readiness>;
  /** What /metrics serves here; null for nothing. */
  readonly metrics: MetricsEndpoint | null;
  /** Told of every GraphQL request that is over. */
  readonly onRequest: (request: ObservedRequest) => void;
  /** How long a query may read before it is answered STORE_UNAVAILABLE; a caller may ask for less. */
  readonly requestTimeoutMs: number;
  /** How long `close` goes on taking requests, see createFastifyServer. */
  readonly closeDelayMs?: number;
  /** How long `close` lets requests finish before it cuts their connections; DRAIN_MS_MAX where it is left out. */
  readonly drainMs?: number;
  /** How long a request may take to arrive; as in limits.ts where it is left out. */
  readonly arrival?: ArrivalLimits;
  /** What callers may make the process hold; as in limits.ts where it is left out. */
  readonly held?: Partial<HeldLimits>;
  /** Connections at once. */
  readonly connectionsMax: number;
  readonly onCutOff: (what: CutOff) => void;
}

/**
 * The HTTP side: /graphql, /playground, /healthz, /readyz, /metrics and an overview at /.
 *
 * @throws TrustedDocumentsError
 */
export async function createHttpServer(deps: HttpServerDependencies): Promise<HttpServer> {
  const { clock, logger, trustProxy, closeDelayMs, drainMs, arrival, connectionsMax, onCutOff } = deps;
  const held = { ...HELD, ...deps.held };
  const schema = buildGraphQLSchema();
  const trusted = await readTrustedDocuments({ ...deps.trustedDocuments, schema });
  const graphql = await startApollo({
    schema,
    introspection: deps.introspection,
    limits: deps.queryLimits,
    jit: deps.jit,
    logger,
  });
  const logFailed = createFailedRequestLog(logger);
  const { fastify, server } = createFastifyServer({
    clock,
    logger,
    trustProxy,
    closeDelayMs,
    drainMs,
    arrival,
    held,
    connectionsMax,
    onCutOff,
  });
  acceptJsonOnly(fastify, {
    bytesMax: held.bodiesBytesMax,
    monotonicMs: clock.monotonicMs,
    random: Math.random,
    onCutOff: () => onCutOff("body"),
  });
  fastify.addHook("onClose", () => graphql.apollo.stop());
  await registerCors(fastify, { origins: deps.corsOrigins, headers: deps.corsHeaders });
  await registerGraphQL(fastify, graphql, {
    newContext: createContextFactory(deps),
    authenticator: deps.authenticator,
    requestsPerMinuteMax: deps.requestsPerMinuteMax,
    random: Math.random,
    startBudget: (headers) =>
      startRequestBudget(requestTimeoutMs(headers, deps.requestTimeoutMs), deps.clock),
    trusted,
    observe: createRequestObserver({
      documentedOperations: new Set((await readOperations()).map(({ name }) => name)),
      clock,
      onRequest(request) {
        deps.onRequest(request);
        logFailed(request);
      },
    }),
  });
  if (deps.metrics !== null) registerMetrics(fastify, deps.metrics);
  registerHealth(fastify, deps);
  registerHome(fastify, { ...deps, metrics: deps.metrics !== null });
  if (deps.playground) {
    registerPlayground(fastify, { mode: trusted.mode, schema: deps.introspection ? schema : null });
  }
  return server;
}
