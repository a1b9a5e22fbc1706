import { Field, ObjectType, registerEnumType } from "type-graphql";
import type { DeadLetterAction as Action } from "../../admin/dead-letter-actions.ts";
import {
  DEAD_LETTER_REASONS,
  type DeadLetterPayload,
  type DeadLetter as Letter,
  type DeadLetterReason as Reason,
} from "../../domain/dead-letter.ts";
import { DateTime } from "../scalars/date-time.ts";
import { JSONValue } from "../scalars/json.ts";
import { ID, Int } from "../scalars/json-numbers.ts";
import { PageInfo } from "./page-info.ts";

/** The reasons as an enum object: what type-graphql makes GraphQL enums of. */
export const DeadLetterReason = Object.fromEntries(DEAD_LETTER_REASONS.map((reason) => [reason, reason])) as {
  readonly [R in Reason]: R;
};

registerEnumType(DeadLetterReason, {
  name: "DeadLetterReason",
  description: "Why something that was accepted could not be stored.",
  valuesConfig: {
    UNREADABLE_MESSAGE: { description: "The queue message is not one that this version understands." },
    INVALID_USER_ID: { description: "The user id breaks the rules for ids." },
    INVALID_POST_ID: { description: "The post id breaks the rules for ids." },
    INVALID_FIELD: { description: "surface, position, dwellMs or viewedAt is outside its bounds." },
    VIEWED_IN_FUTURE: { description: "viewedAt lies more than 5 minutes after the impression was received." },
    OLDER_THAN_RETENTION: { description: "The view was over its retention when it was received." },
    REJECTED_BY_STORE: { description: "The store refuses this row for what it is." },
    CRASHED_WORKER: { description: "The message killed the worker that handled it, three times." },
  },
});

/** Something that was accepted and could not be stored; `receivedAt` is in resolvers/dead-letters.ts. */
@ObjectType({ simpleResolvers: true, description: "Something that was accepted and could not be stored." })
export class DeadLetter implements Letter {
  @Field(() => ID)
  readonly id!: string;

  @Field(() => DeadLetterReason)
  readonly reason!: Reason;

  @Field(() => String, { description: "One sentence for a person" })
  readonly detail!: string;

  readonly userId!: string | null;
  readonly receivedAtUs!: number | null;

  @Field(() => DateTime, { name: "failedAt", simple: false })
  readonly failedAtMs!: number;

  @Field(() => Int, { description: "How often its message had been delivered when it failed" })
  readonly deliveries!: number;

  @Field(() => JSONValue, {
    nullable: true,
    description: "What arrived, as it arrived; values longer than any valid one are cut",
  })
  readonly payload!: DeadLetterPayload;
}

@ObjectType({ simpleResolvers: true })
export class DeadLetterEdge {
  @Field(() => String, { description: "Pass it as `after` to go on behind this letter." })
  readonly cursor!: string;

  @Field(() => DeadLetter)
  readonly node!: DeadLetter;
}

@ObjectType({
  simpleResolvers: true,
  description:
    "A page of dead letters. It can hold fewer edges than asked, even none: walk until `hasNextPage` is false.",
})
export class DeadLetterConnection {
  @Field(() => [DeadLetterEdge])
  readonly edges!: DeadLetterEdge[];

  @Field(() => [DeadLetter], { description: "The nodes of the edges" })
  readonly nodes!: DeadLetter[];

  @Field(() => PageInfo)
  readonly pageInfo!: PageInfo;
}

@ObjectType({ simpleResolvers: true, description: "What a replay or a discard did." })
export class DeadLetterAction implements Omit<Action, "next"> {
  @Field(() => Int, { description: "Letters that the filter matched, at most `first`" })
  readonly matched!: number;

  @Field(() => Int, { description: "Of those, how many were replayed or discarded; 0 in a dry run" })
  readonly done!: number;

  @Field(() => Int, {
    description:
      "Of those, how many cannot be replayed, and stay: whole messages whose bytes are not text or whose end was cut off, and impressions with a value that was cut",
  })
  readonly skipped!: number;

  @Field(() => String, {
    nullable: true,
    description:
      "Where this call stopped: pass it as `after`, with the same filter, to go on; null at the end",
  })
  readonly next!: string | null;
}
