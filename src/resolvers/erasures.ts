import {
  Arg,
  Authorized,
  Ctx,
  Field,
  FieldResolver,
  Mutation,
  ObjectType,
  Query,
  Resolver,
  Root,
  registerEnumType,
} from "type-graphql";
import type { Scope } from "../domain/caller.ts";
import {
  ERASURE_STATUSES,
  type Erasure as ErasureReceipt,
  type ErasureStatus as Status,
} from "../domain/erasure.ts";
import { microsToMillis } from "../domain/time.ts";
import { checkId } from "./arguments.ts";
import type { RequestContext } from "./context.ts";
import { DateTime, ID, Int } from "./scalars.ts";

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

/** Forgetting users. */
@Authorized<Scope>("impressions:admin")
@Resolver(() => Erasure)
export class ErasureResolver {
  @Mutation(() => Erasure, {
    description: "Forget a user everywhere (admin). Answers at once; the erasure goes on by itself.",
  })
  eraseUser(@Arg("userId", () => ID) userId: string, @Ctx() context: RequestContext): Promise<Erasure> {
    checkId("userId", userId);
    return context.deps.erasures.request(userId);
  }

  @Query(() => Erasure, {
    nullable: true,
    description: "State of an erasure (admin); null where there is none by this id.",
  })
  erasure(@Arg("id", () => ID) id: string, @Ctx() context: RequestContext): Promise<Erasure | null> {
    checkId("id", id);
    return context.loaders.erasure.load(id);
  }

  @Query(() => [Erasure], {
    description: "Erasures that are neither DONE nor FAILED, oldest first, at most 1000 (admin).",
  })
  async unfinishedErasures(
    @Arg("userId", () => ID, { nullable: true, description: "Only those of this user" })
    userId: string | null | undefined,
    @Ctx() context: RequestContext,
  ): Promise<Erasure[]> {
    if (userId != null) checkId("userId", userId);
    const erasures = await context.loaders.unfinishedErasures();
    return erasures.filter((erasure) => userId == null || erasure.userId === userId) as Erasure[];
  }

  @FieldResolver(() => DateTime, {
    description: "Everything of the user that was received before this goes.",
  })
  requestedAt(@Root() erasure: Erasure): number {
    return microsToMillis(erasure.requestedAtUs);
  }
}
