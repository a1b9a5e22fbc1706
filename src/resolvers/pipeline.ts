import {
  Authorized,
  Ctx,
  Field,
  FieldResolver,
  Float,
  ObjectType,
  Query,
  Resolver,
  Root,
} from "type-graphql";
import type { Scope } from "../domain/caller.ts";
import type { QueueStats } from "../ports/impression-queue.ts";
import type { WorkerReport } from "../ports/worker-registry.ts";
import type { RequestContext } from "./context.ts";
import { healthWithin } from "./health-within.ts";
import { ID, Int } from "./scalars.ts";

/** One worker loop, as it last reported. */
@ObjectType({
  simpleResolvers: true,
  description: "One worker loop, as it reported within the last 15 seconds.",
})
export class WorkerStatus implements WorkerReport {
  @Field(() => ID)
  readonly id!: string;

  @Field(() => String, {
    description:
      "IDLE: nothing to do. WORKING: has messages in flight. PAUSED: waits for the store. STOPPING: drains.",
  })
  readonly state!: WorkerReport["state"];

  @Field(() => Float, { description: "Impressions stored since the worker started" })
  readonly impressionsStored!: number;

  @Field(() => Int, {
    description: "Store writes that may run at once now; the worker finds this number by itself",
  })
  readonly concurrency!: number;

  @Field(() => Boolean, {
    description: "False while its circuit breaker is open: it takes the store for down, and pulls nothing",
  })
  readonly storeHealthy!: boolean;
}

/** The queue, the store and the workers at one moment; what has to be asked for is in resolvers/pipeline.ts. */
@ObjectType({ simpleResolvers: true, description: "How the pipeline is doing now." })
export class Pipeline {
  @Field(() => String, { description: "`embedded` or `cluster`" })
  readonly engine!: string;

  @Field(() => String, {
    nullable: true,
    description:
      "The database that keeps the views, and its version: `ScyllaDB 2026.1.4`, `Cassandra 5.0.9`, `SQLite 3.53.0`; null until this process has reached it",
  })
  readonly database!: string | null;

  @Field(() => [WorkerStatus])
  readonly workers!: WorkerStatus[];
}

/** What the fields of a Pipeline are made from. */
export interface PipelineParts extends Pipeline {
  /** Asks the queue, once. */
  stats(): Promise<QueueStats>;
}

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

  @FieldResolver(() => Int, { description: "Messages stored in the queue and not yet acked" })
  async pending(@Root() { stats }: PipelineParts): Promise<number> {
    return (await stats()).pending;
  }

  @FieldResolver(() => Int, { description: "Messages that a worker holds now" })
  async inFlight(@Root() { stats }: PipelineParts): Promise<number> {
    return (await stats()).inFlight;
  }

  @FieldResolver(() => Float, {
    description: "Age of the oldest message that is not acked; 0 where there is none",
  })
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
