import { Field, ObjectType } from "type-graphql";
import type { RecordResult } from "../../ingest/recorder.ts";
import { DateTime } from "../scalars/date-time.ts";
import { Int } from "../scalars/json-numbers.ts";

/** The answer to recordImpressions. */
@ObjectType({ simpleResolvers: true, description: "What was accepted. From here on it is not lost." })
export class RecordImpressionsPayload implements RecordResult {
  @Field(() => Int, { description: "Impressions enqueued: all of the list" })
  readonly accepted!: number;

  @Field(() => DateTime, {
    name: "receivedAt",
    simple: false,
    description:
      "Our clock when the list arrived. Compare it with `sentAt` to learn how far your clock is off.",
  })
  readonly receivedAtMs!: number;

  @Field(() => Int, {
    description:
      "When the client should send its next batch at the earliest: 0 while there is room, more (jittered) under pressure",
  })
  readonly flushAfterMs!: number;
}
