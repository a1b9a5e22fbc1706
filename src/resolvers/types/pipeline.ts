import { Field, Float, ObjectType } from "type-graphql";
import type { QueueStats } from "../../ports/impression-queue.ts";
import type { WorkerReport } from "../../ports/worker-registry.ts";
import { ID, Int } from "../scalars/json-numbers.ts";

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
