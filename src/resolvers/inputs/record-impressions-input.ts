import { Field, InputType } from "type-graphql";
import { DateTime } from "../scalars/date-time.ts";
import { ID, Int } from "../scalars/json-numbers.ts";

/** One impression as a client says it: instants are epoch milliseconds already. */
@InputType({ description: "One post that came on the screen." })
export class ImpressionInput {
  @Field(() => ID)
  readonly postId!: string;

  @Field(() => DateTime, { description: "When, by the sender's clock (see `sentAt`)" })
  readonly viewedAt!: number;

  @Field(() => String, {
    nullable: true,
    description: "Where in the app it was shown: HOME, SEARCH, NOTIFICATION, ... at most 64 characters",
  })
  readonly surface?: string | null;

  @Field(() => Int, { nullable: true, description: "Place in the list that was shown, from 0" })
  readonly position?: number | null;

  @Field(() => Int, { nullable: true, description: "How long it stayed on the screen" })
  readonly dwellMs?: number | null;
}

@InputType({ description: "What one user saw." })
export class RecordImpressionsInput {
  @Field(() => ID, {
    nullable: true,
    description:
      "Whose views. Under token auth it may be left out (the token's subject) and must otherwise equal it.",
  })
  readonly userId?: string | null;

  @Field(() => [ImpressionInput], {
    description: "1 to 500. Resending identical impressions (same post, same viewedAt) changes nothing.",
  })
  readonly impressions!: ImpressionInput[];

  @Field(() => DateTime, {
    nullable: true,
    description:
      "The sender's clock at this attempt. More than 5 minutes ahead of ours, or before 2025: every viewedAt is moved by " +
      "the difference, to the minute. A clock that is behind looks like a delivery that took long, and moves nothing.",
  })
  readonly sentAt?: number | null;
}
