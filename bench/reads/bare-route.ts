// The same questions on a Fastify route without GraphQL: a second process, HTTP and JSON around our store, and nothing
// else. What is left between this and the bare driver is no GraphQL server's to save. Sends its URL to the bench.

import Fastify from "fastify";
import { openEngine } from "../../src/app/open-engine.ts";
import { readConfig } from "../../src/config.ts";
import { systemClock } from "../../src/domain/time.ts";
import { unseenAmong } from "../../src/domain/walk.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { EVERYTHING } from "../../test/kit/views.ts";

type Variables =
  | { readonly userId: string; readonly candidates: string[] }
  | { readonly userId: string; readonly first: number }
  | { readonly postId: string; readonly first: number };

const config = readConfig(process.env);
const { store } = await openEngine(config, createLogger("silent"), {
  waitForStore: true,
  clock: systemClock,
});
const fastify = Fastify();
fastify.post<{ Body: { readonly variables: Variables } }>("/graphql", async ({ body }) => ({
  data: await answer(body.variables),
}));
process.send?.(await fastify.listen({ port: 0, host: "127.0.0.1" }));

async function answer(variables: Variables): Promise<unknown> {
  if ("candidates" in variables) {
    const { userId, candidates } = variables;
    const sinceMs = systemClock.nowMs() - config.retentionMs;
    const seen = await store.seenAmong(userId, candidates, { minViews: 1, minDwellMs: 0, sinceMs });
    return unseenAmong(candidates, seen);
  }
  const page = { window: EVERYTHING, after: null, limit: variables.first };
  return "userId" in variables
    ? store.seenPosts({ ownerId: variables.userId, ...page })
    : store.postViewers({ ownerId: variables.postId, ...page });
}
