import type { FastifyInstance } from "fastify";
import type { Logger } from "../telemetry/logger.ts";

/** Whether requests should come here, and what explains it to an operator. */
export interface Readiness {
  readonly ready: boolean;
  readonly body: object;
}

/** `/healthz`: the process lives. `/readyz`: it can take requests, 200 or 503. */
export function registerHealth(
  fastify: FastifyInstance,
  options: {
    readonly readiness: () => Promise<Readiness>;
    readonly version: string;
    readonly logger: Logger;
  },
): void {
  fastify.get("/healthz", async (_request, reply) =>
    reply.header("cache-control", "no-store").send({ status: "ok", version: options.version }),
  );
  fastify.get("/readyz", async (_request, reply) => {
    const { ready, body } = await options.readiness().catch((error: unknown): Readiness => {
      options.logger.error({ err: error }, "readiness could not be determined");
      return { ready: false, body: {} };
    });
    return reply
      .code(ready ? 200 : 503)
      .header("cache-control", "no-store")
      .send({ ready, ...body });
  });
}
