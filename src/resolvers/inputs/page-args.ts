import { ArgsType, Field } from "type-graphql";
import type { DeadLetterReason as Reason } from "../../domain/dead-letter.ts";
import { PAGE_SIZE_DEFAULT } from "../../domain/limits.ts";
import { DateTime } from "../scalars/date-time.ts";
import { ID, Int } from "../scalars/json-numbers.ts";
import { DeadLetterReason } from "../types/dead-letter.ts";

/** The arguments of every connection. */
@ArgsType()
class PageArgs {
  @Field(() => Int, {
    defaultValue: PAGE_SIZE_DEFAULT,
    description: "At most this many edges: 1 to 500. A page costs 300, and 1 for each (docs/query-cost.md)",
  })
  readonly first!: number;

  @Field(() => String, {
    nullable: true,
    description: "The `endCursor` of the page before, with the same other arguments",
  })
  readonly after?: string | null;
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

/** The arguments of a walk over views. */
@ArgsType()
export class WalkArgs extends PageArgs {
  @Field(() => DateTime, { nullable: true, description: "Only views at or after this instant" })
  readonly since?: number | null;

  @Field(() => DateTime, { nullable: true, description: "Only views before this instant" })
  readonly until?: number | null;
}
