import { Field, InputType } from "type-graphql";
import { DateTime } from "../scalars/date-time.ts";
import { Int } from "../scalars/json-numbers.ts";

@InputType("SeenRule", {
  description: "When does a post count as seen? By default: one view within the retention.",
})
export class SeenRuleInput {
  @Field(() => Int, { defaultValue: 1, description: "Seen only after this many views" })
  readonly minViews!: number;

  @Field(() => Int, {
    defaultValue: 0,
    description: "Views shorter than this don't count; a view without dwellMs counts only where this is 0",
  })
  readonly minDwellMs!: number;

  @Field(() => DateTime, {
    nullable: true,
    description: "Only views at or after this instant count, so a post may return after a while",
  })
  readonly since?: number | null;
}
