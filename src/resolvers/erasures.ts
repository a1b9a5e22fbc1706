import { Arg, Authorized, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from "type-graphql";
import type { Scope } from "../domain/caller.ts";
import { microsToMillis } from "../domain/time.ts";
import { checkId } from "./arguments.ts";
import type { RequestContext } from "./context.ts";
import { DateTime } from "./scalars/date-time.ts";
import { ID } from "./scalars/json-numbers.ts";
import { Erasure } from "./types/erasure.ts";

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
