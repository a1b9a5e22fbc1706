import { Args, Authorized, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from "type-graphql";
import type {
  DeadLetterActionRequest,
  DeadLetterAction as DeadLetterActionResult,
} from "../admin/dead-letter-actions.ts";
import type { Scope } from "../domain/caller.ts";
import { microsToMillis } from "../domain/time.ts";
import type { DeadLetterFilter, DeadLetterPage, StoredDeadLetter } from "../ports/dead-letters.ts";
import { checkFirst, checkLettersAtOnce, deadLetterFilterOf } from "./arguments.ts";
import { type Connection, connectionOf } from "./connection.ts";
import type { RequestContext } from "./context.ts";
import { type CursorScope, decodeSequenceCursor, encodeSequenceCursor } from "./cursor.ts";
import {
  DeadLetter,
  DeadLetterAction,
  DeadLetterActionArgs,
  DeadLetterConnection,
  DeadLettersArgs,
} from "./dead-letter-types.ts";
import { DateTime } from "./scalars.ts";
import { invalidCursor } from "./walks.ts";

/** Payloads of one page. One that could not be read may have a megabyte, and an answer has 8 (ANSWER_BYTES_MAX). */
const PAGE_BYTES_MAX = 2 * 1024 * 1024;

/** What the workers could not store, and what to do about it. */
@Authorized<Scope>("impressions:admin")
@Resolver(() => DeadLetter)
export class DeadLetterResolver {
  @Query(() => DeadLetterConnection, {
    description: "What the workers could not store, newest first (admin).",
  })
  async deadLetters(
    @Args(() => DeadLettersArgs) args: DeadLettersArgs,
    @Ctx() context: RequestContext,
  ): Promise<Connection<StoredDeadLetter>> {
    checkFirst(args.first);
    const filter = deadLetterFilterOf(args, "");
    const scope = scopeOf(filter);
    const { deadLetters: letters, next } = withinBytes(
      await context.deps.queue.deadLetters.page({
        filter,
        before: sequenceIn(scope, args.after),
        limit: args.first,
      }),
    );
    return connectionOf({
      nodes: letters,
      cursorOf: (letter) => encodeSequenceCursor(scope, letter.sequence),
      nextCursor: next === null ? null : () => encodeSequenceCursor(scope, next),
      hasPreviousPage: args.after != null,
    });
  }

  @Mutation(() => DeadLetterAction, {
    description: "Put dead letters back into the queue (admin). Replaying twice adds nothing.",
  })
  replayDeadLetters(
    @Args(() => DeadLetterActionArgs) args: DeadLetterActionArgs,
    @Ctx() context: RequestContext,
  ): Promise<DeadLetterAction> {
    return act(args, context.deps.deadLetterActions.replay);
  }

  @Mutation(() => DeadLetterAction, { description: "Delete dead letters (admin)." })
  discardDeadLetters(
    @Args(() => DeadLetterActionArgs) args: DeadLetterActionArgs,
    @Ctx() context: RequestContext,
  ): Promise<DeadLetterAction> {
    return act(args, context.deps.deadLetterActions.discard);
  }

  @FieldResolver(() => DateTime, { nullable: true, description: "Null where the message could not be read" })
  receivedAt(@Root() letter: DeadLetter): number | null {
    return letter.receivedAtUs === null ? null : microsToMillis(letter.receivedAtUs);
  }
}

/** The page up to the dead letter that makes it larger than PAGE_BYTES_MAX: what is left out begins the next one. */
function withinBytes({ deadLetters: letters, next }: DeadLetterPage): DeadLetterPage {
  let bytes = 0;
  for (const [index, { payload }] of letters.entries()) {
    bytes += Buffer.byteLength(JSON.stringify(payload));
    if (bytes <= PAGE_BYTES_MAX || index === letters.length - 1) continue;
    const kept = letters.slice(0, index + 1);
    return { deadLetters: kept, next: kept.at(-1)?.sequence ?? next };
  }
  return { deadLetters: letters, next };
}

async function act(
  args: DeadLetterActionArgs,
  run: (request: DeadLetterActionRequest) => Promise<DeadLetterActionResult>,
): Promise<DeadLetterAction> {
  checkLettersAtOnce(args.first);
  const filter = deadLetterFilterOf(args.filter, "filter");
  const scope = scopeOf(filter);
  const before = sequenceIn(scope, args.after);
  const { next, ...counts } = await run({ filter, dryRun: args.dryRun, before, limit: args.first });
  return { ...counts, next: next === null ? null : encodeSequenceCursor(scope, next) };
}

/** A cursor belongs to its filter. */
function scopeOf({ reason, ids, userId, sinceMs, untilMs }: DeadLetterFilter): CursorScope {
  const conditions = [reason, ids == null ? null : JSON.stringify(ids), userId, sinceMs, untilMs];
  return {
    connection: "deadLetters",
    owner: "",
    arguments: conditions.map((condition) => condition ?? null),
  };
}

/** @throws ApiError INVALID_CURSOR */
function sequenceIn(scope: CursorScope, after: string | null | undefined): number | null {
  if (after == null) return null;
  const sequence = decodeSequenceCursor(scope, after);
  if (sequence === null) throw invalidCursor();
  return sequence;
}
