import { Field, ObjectType, registerEnumType } from "type-graphql";
import {
  ERASURE_STATUSES,
  type Erasure as ErasureReceipt,
  type ErasureStatus as Status,
} from "../../domain/erasure.ts";
import { DateTime } from "../scalars/date-time.ts";
import { ID, Int } from "../scalars/json-numbers.ts";

/** The statuses as an enum object: what type-graphql makes GraphQL enums of. */
const ErasureStatus = Object.fromEntries(ERASURE_STATUSES.map((status) => [status, status])) as {
  readonly [S in Status]: S;
};

registerEnumType(ErasureStatus, {
  name: "ErasureStatus",
  description: "How far an erasure is.",
  valuesConfig: {
    WAITING_FOR_QUEUE: { description: "What was received before the request is still in the queue." },
    DELETING: { description: "Stored rows are being deleted." },
    DONE: { description: "Nothing of the user that was received before the request is left." },
    FAILED: { description: "It stopped; request it again." },
  },
});

/** The receipt of a request to forget a user; `requestedAt` is in resolvers/erasures.ts. */
@ObjectType({ simpleResolvers: true, description: "The receipt of one request to forget a user." })
export class Erasure implements ErasureReceipt {
  @Field(() => ID)
  readonly id!: string;

  @Field(() => ID, {
    description:
      "The user's id; once it is DONE a keyed hash instead, the same in every receipt of the same user",
  })
  readonly userId!: string;

  readonly requestedAtUs!: number;

  @Field(() => ErasureStatus)
  readonly status!: Status;

  @Field(() => Int, {
    description: "Views that were deleted, each counted once, whatever tables it stood in",
  })
  readonly rowsDeleted!: number;

  @Field(() => DateTime, { name: "finishedAt", nullable: true, simple: false })
  readonly finishedAtMs!: number | null;
}
