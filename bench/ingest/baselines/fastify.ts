import Fastify from "fastify";
import type { Input, Payload } from "./publish-one.ts";

/** The same JSON as the service gets. */
export interface Request {
  readonly variables: { readonly input: Input };
}

const PAYLOAD = {
  type: "object",
  properties: {
    accepted: { type: "integer" },
    receivedAt: { type: "string" },
    flushAfterMs: { type: "integer" },
  },
} as const;

/**
 * A bare route that answers what GraphQL would, in Fastify's quickest way: no log, no checks, an answer serialized by its
 * schema. Sends its URL to the bench.
 */
export async function serveBareRoute(record: (input: Input) => Promise<Payload>): Promise<void> {
  const fastify = Fastify();
  fastify.post<{ Body: Request }>(
    "/graphql",
    {
      schema: {
        response: {
          200: {
            type: "object",
            properties: { data: { type: "object", properties: { recordImpressions: PAYLOAD } } },
          },
        },
      },
    },
    async ({ body }) => {
      const { accepted, receivedAt, flushAfterMs } = await record(body.variables.input);
      return {
        data: {
          recordImpressions: { accepted, receivedAt: new Date(receivedAt).toISOString(), flushAfterMs },
        },
      };
    },
  );
  process.send?.(await fastify.listen({ port: 0, host: "127.0.0.1" }));
}
