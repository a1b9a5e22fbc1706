import { Field, InputType } from "type-graphql";
import { VIEWS_COUNT_MAX } from "../../domain/limits.ts";
import { DateTime } from "../scalars/date-time.ts";
import { Int } from "../scalars/json-numbers.ts";

@InputType("SeenRule", {
  description:
    "When does a post count as seen? By default: one view within the retention. Looks at the newest " +
    `${VIEWS_COUNT_MAX} views of a post.`,
})
export class SeenRuleInput {
  @Field(() => Int, {
    defaultValue: 1,
    description: `Seen only after this many views, 1 to ${VIEWS_COUNT_MAX}`,
  })
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
