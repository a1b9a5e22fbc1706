import { Field, Float, ID, Int, ObjectType } from "type-graphql";
import type { WorkerReport } from "../../ports/worker-board.ts";

/** One worker loop, as it last reported. */
@ObjectType({
  simpleResolvers: true,
  description: "One worker loop, as it reported within the last 15 seconds.",
})
export class WorkerStatus implements Omit<WorkerReport, "storeHealthy"> {
  @Field(() => ID)
  readonly id!: string;

  @Field(() => String, {
    description:
      "IDLE: nothing to do. WORKING: has messages in hand. PAUSED: waits for the store. STOPPING: drains.",
  })
  readonly state!: WorkerReport["state"];

  @Field(() => Float, { description: "Impressions stored since the worker started" })
  readonly impressionsStored!: number;

  @Field(() => Int, {
    description: "Store writes that may run at once now; the worker finds this number by itself",
  })
  readonly concurrency!: number;
}

/** The queue, the store and the workers at one moment. */
@ObjectType({ simpleResolvers: true, description: "How the pipeline is doing now." })
export class Pipeline {
  @Field(() => String, { description: "`embedded` or `cluster`" })
  readonly engine!: string;

  @Field(() => Int, { description: "Messages stored in the queue and not yet settled" })
  readonly pending!: number;

  @Field(() => Int, { description: "Messages that a worker holds now" })
  readonly inFlight!: number;

  @Field(() => Float, { description: "Age of the oldest unsettled message; 0 where there is none" })
  readonly oldestPendingSeconds!: number;

  @Field(() => Float)
  readonly queueBytes!: number;

  @Field(() => Float, { description: "When the queue holds this much, recordImpressions answers OVERLOADED" })
  readonly queueLimitBytes!: number;

  @Field(() => Int, { description: "Dead letters that wait for a person" })
  readonly deadLetters!: number;

  @Field(() => Boolean, { description: "Whether the store answers now" })
  readonly storeHealthy!: boolean;

  @Field(() => [WorkerStatus])
  readonly workers!: WorkerStatus[];
}
