import { Ctx, Query, Resolver } from "type-graphql";
import type { RequestContext } from "./context.ts";
import { Pipeline } from "./types/pipeline.ts";

@Resolver()
export class PipelineResolver {
  @Query(() => Pipeline, { description: "How the pipeline is doing now (admin)." })
  async pipeline(@Ctx() { deps }: RequestContext): Promise<Pipeline> {
    const [stats, deadLetters, store] = await Promise.all([
      deps.queue.stats(),
      deps.queue.deadLetters.count(),
      deps.store.health(),
    ]);
    return {
      engine: deps.engine,
      pending: stats.pending,
      inFlight: stats.inFlight,
      oldestPendingSeconds: stats.oldestPendingSeconds,
      queueBytes: stats.bytes,
      queueLimitBytes: stats.limitBytes,
      deadLetters,
      storeHealthy: store.healthy,
      workers: [...deps.workerBoard.current()],
    };
  }
}
