import { Authorized, Ctx, FieldResolver, Float, Query, Resolver, Root } from "type-graphql";
import type { Scope } from "../domain/caller.ts";
import type { QueueStats } from "../ports/impression-queue.ts";
import type { RequestContext } from "./context.ts";
import { healthWithin } from "./health-within.ts";
import { Int } from "./scalars/json-numbers.ts";
import { Pipeline, type PipelineParts } from "./types/pipeline.ts";

/**
 * How the pipeline is doing. Each part is asked only for the fields that need it, and bounded in time: what the queue
 * alone knows fails with QUEUE_UNAVAILABLE while it cannot be reached, and the rest answers all the same.
 */
@Authorized<Scope>("impressions:admin")
@Resolver(() => Pipeline)
export class PipelineResolver {
  @Query(() => Pipeline, { description: "How the pipeline is doing now (admin)." })
  pipeline(@Ctx() { deps }: RequestContext): PipelineParts {
    let stats: Promise<QueueStats> | null = null;
    return {
      engine: deps.engine,
      database: deps.database(),
      workers: deps.workerRegistry.current().toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      stats() {
        stats ??= deps.queue.stats();
        return stats;
      },
    };
  }

  @FieldResolver(() => Int, { description: "Messages stored in the queue and not yet settled" })
  async pending(@Root() { stats }: PipelineParts): Promise<number> {
    return (await stats()).pending;
  }

  @FieldResolver(() => Int, { description: "Messages that a worker holds now" })
  async inFlight(@Root() { stats }: PipelineParts): Promise<number> {
    return (await stats()).inFlight;
  }

  @FieldResolver(() => Float, { description: "Age of the oldest unsettled message; 0 where there is none" })
  async oldestPendingSeconds(@Root() { stats }: PipelineParts): Promise<number> {
    return (await stats()).oldestPendingSeconds;
  }

  @FieldResolver(() => Float)
  async queueBytes(@Root() { stats }: PipelineParts): Promise<number> {
    return (await stats()).bytes;
  }

  @FieldResolver(() => Float, {
    description: "When the queue holds this much, recordImpressions answers OVERLOADED",
  })
  async queueLimitBytes(@Root() { stats }: PipelineParts): Promise<number> {
    return (await stats()).limitBytes;
  }

  @FieldResolver(() => Int, { description: "Dead letters that wait for a person" })
  deadLetters(@Ctx() { deps }: RequestContext): Promise<number> {
    return deps.queue.deadLetters.count();
  }

  @FieldResolver(() => Boolean, {
    description:
      "Whether the queue answers now. While it does not, every number of the queue's is QUEUE_UNAVAILABLE: leave them out",
  })
  async queueHealthy(@Ctx() { deps }: RequestContext): Promise<boolean> {
    return (await healthWithin(deps.queue)).healthy;
  }

  @FieldResolver(() => Boolean, { description: "Whether the store answers now, within 2 seconds" })
  async storeHealthy(@Ctx() { loaders }: RequestContext): Promise<boolean> {
    return (await loaders.storeHealth()).healthy;
  }
}
