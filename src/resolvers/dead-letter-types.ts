import { ArgsType, Field, InputType, ObjectType, registerEnumType } from "type-graphql";
import {
  type DeadLetterAction as Action,
  DEAD_LETTERS_PER_ACTION_MAX,
} from "../admin/dead-letter-actions.ts";
import {
  DEAD_LETTER_REASONS,
  type DeadLetterPayload,
  type DeadLetter as Letter,
  type DeadLetterReason as Reason,
} from "../domain/dead-letter.ts";
import { PageArgs, PageInfo } from "./connection.ts";
import { DateTime, ID, Int, JSONValue } from "./scalars.ts";

/** The reasons as an enum object: what type-graphql makes GraphQL enums of. */
const DeadLetterReason = Object.fromEntries(DEAD_LETTER_REASONS.map((reason) => [reason, reason])) as {
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

@InputType("DeadLetterFilter", {
  description: "Which dead letters: every condition given must hold. `{}` matches all of them.",
})
export class DeadLetterFilterInput {
  @Field(() => [ID], { nullable: true, description: "At most 1000" })
  readonly ids?: string[] | null;

  @Field(() => DeadLetterReason, { nullable: true })
  readonly reason?: Reason | null;

  @Field(() => ID, { nullable: true, description: "Whose impressions" })
  readonly userId?: string | null;

  @Field(() => DateTime, { nullable: true, description: "Failed at or after this instant" })
  readonly since?: number | null;

  @Field(() => DateTime, { nullable: true, description: "Failed before this instant" })
  readonly until?: number | null;
}

/** The arguments of the list of dead letters: every condition given must hold. */
@ArgsType()
export class DeadLettersArgs extends PageArgs {
  @Field(() => DeadLetterReason, { nullable: true, description: "Only letters with this reason" })
  readonly reason?: Reason | null;

  @Field(() => [ID], { nullable: true, description: "Only these letters; at most 1000" })
  readonly ids?: string[] | null;

  @Field(() => ID, { nullable: true, description: "Only impressions of this user" })
  readonly userId?: string | null;

  @Field(() => DateTime, { nullable: true, description: "Only what failed at or after this instant" })
  readonly since?: number | null;

  @Field(() => DateTime, { nullable: true, description: "Only what failed before this instant" })
  readonly until?: number | null;
}

/** What to replay or discard, and how much of it now. */
@ArgsType()
export class DeadLetterActionArgs {
  @Field(() => DeadLetterFilterInput)
  readonly filter!: DeadLetterFilterInput;

  @Field(() => Boolean, { defaultValue: false, description: "Only say how many would match" })
  readonly dryRun!: boolean;

  @Field(() => Int, {
    defaultValue: DEAD_LETTERS_PER_ACTION_MAX,
    description: "Handle at most so many letters, newest first: 1 to 10000. Go on with `after`",
  })
  readonly first!: number;

  @Field(() => String, { nullable: true, description: "The `next` of the call before, with the same filter" })
  readonly after?: string | null;
}
