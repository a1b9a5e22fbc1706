import { Arg, Args, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from "type-graphql";
import { type CursorScope, decodeSequenceCursor, encodeSequenceCursor } from "../domain/cursor.ts";
import type { DeadLetterReason as Reason } from "../domain/dead-letter.ts";
import { microsToMillis } from "../domain/time.ts";
import type { StoredDeadLetter } from "../ports/dead-letters.ts";
import { checkFirst, deadLetterFilterOf } from "./arguments.ts";
import { type Connection, connectionOf } from "./connection.ts";
import type { RequestContext } from "./context.ts";
import { DeadLetterFilterInput } from "./inputs/dead-letter-filter-input.ts";
import { PageArgs } from "./inputs/page-args.ts";
import { DateTime } from "./scalars/date-time.ts";
import { DeadLetter, DeadLetterAction, DeadLetterConnection, DeadLetterReason } from "./types/dead-letter.ts";
import { invalidCursor } from "./walks.ts";

/** What the workers could not store, and what to do about it. */
@Resolver(() => DeadLetter)
export class DeadLetterResolver {
  @Query(() => DeadLetterConnection, {
    description: "What the workers could not store, newest first (admin).",
  })
  async deadLetters(
    @Args(() => PageArgs) args: PageArgs,
    @Arg("reason", () => DeadLetterReason, { nullable: true }) reason: Reason | null | undefined,
    @Ctx() context: RequestContext,
  ): Promise<Connection<StoredDeadLetter>> {
    checkFirst(args.first);
    const scope: CursorScope = { connection: "deadLetters", owner: "", arguments: [reason ?? null] };
    const after = args.after ?? null;
    const before = after === null ? null : decodeSequenceCursor(scope, after);
    if (after !== null && before === null) throw invalidCursor();
    const page = await context.deps.queue.deadLetters.page({
      filter: { reason: reason ?? null },
      before,
      limit: args.first,
    });
    const { next } = page;
    return connectionOf({
      nodes: page.letters,
      cursorOf: (letter) => encodeSequenceCursor(scope, letter.sequence),
      nextCursor: next === null ? null : () => encodeSequenceCursor(scope, next),
      hasPreviousPage: after !== null,
    });
  }

  @Mutation(() => DeadLetterAction, {
    description: "Put dead letters back into the queue (admin). Replaying twice adds nothing.",
  })
  replayDeadLetters(
    @Arg("filter", () => DeadLetterFilterInput) filter: DeadLetterFilterInput,
    @Arg("dryRun", () => Boolean, { defaultValue: false, description: "Only say how many would match" })
    dryRun: boolean,
    @Ctx() context: RequestContext,
  ): Promise<DeadLetterAction> {
    return context.deps.deadLetterActions.replay(deadLetterFilterOf(filter), { dryRun });
  }

  @Mutation(() => DeadLetterAction, { description: "Delete dead letters (admin)." })
  discardDeadLetters(
    @Arg("filter", () => DeadLetterFilterInput) filter: DeadLetterFilterInput,
    @Arg("dryRun", () => Boolean, { defaultValue: false, description: "Only say how many would match" })
    dryRun: boolean,
    @Ctx() context: RequestContext,
  ): Promise<DeadLetterAction> {
    return context.deps.deadLetterActions.discard(deadLetterFilterOf(filter), { dryRun });
  }

  @FieldResolver(() => DateTime, { nullable: true, description: "Null where the message could not be read" })
  receivedAt(@Root() letter: DeadLetter): number | null {
    return letter.receivedAtUs === null ? null : microsToMillis(letter.receivedAtUs);
  }
}
