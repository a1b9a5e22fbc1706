import { ArgsType, Field, Int } from "type-graphql";
import { PAGE_SIZE_DEFAULT } from "../../domain/limits.ts";
import { DateTime } from "../scalars/date-time.ts";

/** The arguments of every connection. */
@ArgsType()
export class PageArgs {
  @Field(() => Int, { defaultValue: PAGE_SIZE_DEFAULT, description: "At most this many edges: 1 to 500" })
  readonly first!: number;

  @Field(() => String, {
    nullable: true,
    description: "The `endCursor` of the page before, with the same other arguments",
  })
  readonly after?: string | null;
}

/** The arguments of a walk over views. */
@ArgsType()
export class WalkArgs extends PageArgs {
  @Field(() => DateTime, { nullable: true, description: "Only views at or after this instant" })
  readonly since?: number | null;

  @Field(() => DateTime, { nullable: true, description: "Only views before this instant" })
  readonly until?: number | null;
}
