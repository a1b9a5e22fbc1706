import { ArgsType, Field } from "type-graphql";
import { DEAD_LETTERS_PER_ACTION_MAX } from "../../admin/dead-letter-actions.ts";
import { Int } from "../scalars/json-numbers.ts";
import { DeadLetterFilterInput } from "./dead-letter-filter-input.ts";

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
