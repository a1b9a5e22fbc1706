import { Field, InputType } from "type-graphql";
import type { DeadLetterReason as Reason } from "../../domain/dead-letter.ts";
import { DateTime } from "../scalars/date-time.ts";
import { ID } from "../scalars/json-numbers.ts";
import { DeadLetterReason } from "../types/dead-letter.ts";

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
