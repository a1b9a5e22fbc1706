import { createContextFactory, type ResolverDependencies } from "../resolvers/context.ts";
import { startRequestBudget } from "../resolvers/request-budget.ts";
import type { QueryLimits } from "../resolvers/query-cost.ts";
import type { Logger } from "../telemetry/logger.ts";
import { startApollo } from "./apollo.ts";
import { createFastifyServer, type HttpServer } from "./fastify-server.ts";
import { registerGraphQL } from "./graphql-route.ts";
import { type Readiness, registerHealth } from "./health.ts";
import { registerHome } from "./home.ts";
import { registerPlayground } from "./playground.ts";
import { requestTimeoutMs } from "./request-timeout.ts";

export interface HttpServerDependencies extends ResolverDependencies {
  /** Whether to serve /playground. */
  readonly playground: boolean;
  /** Whether callers may ask for the schema. */
  readonly introspection: boolean;
  readonly queryLimits: QueryLimits;
  /** Whether operations that keep coming are compiled instead of interpreted. */
  readonly jit: boolean;
  readonly logger: Logger;
  readonly version: string;
  readonly readiness: () => Promise<Readiness>;
  /** How long a query may read before it is answered STORE_UNAVAILABLE; a caller may ask for less. */
  readonly requestTimeoutMs: number;
  /** How long `close` lets requests finish before it cuts their connections; DRAIN_MS_MAX where it is left out. */
  readonly drainMs?: number;
}

/** The HTTP side: /graphql, /playground, /healthz, /readyz and an overview at /. */
export async function createHttpServer(deps: HttpServerDependencies): Promise<HttpServer> {
  const { clock, logger, drainMs } = deps;
  const apollo = await startApollo({
    introspection: deps.introspection,
    limits: deps.queryLimits,
    jit: deps.jit,
    logger,
  });
  const { fastify, server } = createFastifyServer({ clock, logger, drainMs });
  fastify.addHook("onClose", () => apollo.stop());
  registerGraphQL(fastify, apollo, createContextFactory(deps), (headers) =>
    startRequestBudget(requestTimeoutMs(headers, deps.requestTimeoutMs), deps.clock),
  );
  registerHealth(fastify, deps);
  registerHome(fastify, deps);
  if (deps.playground) registerPlayground(fastify);
  return server;
}
