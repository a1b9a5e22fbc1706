import { Arg, Authorized, Ctx, Field, InputType, Mutation, ObjectType, Resolver } from "type-graphql";
import type { Scope } from "../domain/caller.ts";
import type { Impression } from "../domain/impression.ts";
import { IMPRESSIONS_PER_MUTATION_MAX } from "../domain/limits.ts";
import { ApiError } from "../errors.ts";
import type { RecordResult } from "../ingest/recorder.ts";
import { badUserInput, checkId, checkText } from "./arguments.ts";
import type { RequestContext } from "./context.ts";
import { requireScope, userToRecordFor } from "./guard.ts";
import { DateTime, ID, Int } from "./scalars.ts";

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

/** The answer to recordImpressions. */
@ObjectType({ simpleResolvers: true, description: "What was accepted. From here on it is not lost." })
class RecordImpressionsPayload implements RecordResult {
  @Field(() => Int, { description: "Impressions enqueued: all of the list" })
  readonly accepted!: number;

  @Field(() => DateTime, {
    name: "receivedAt",
    simple: false,
    description:
      "Our clock when the list arrived. Compare it with `sentAt` to learn how far your clock is off.",
  })
  readonly receivedAtMs!: number;

  @Field(() => Int, {
    description:
      "When the client should send its next batch at the earliest: 0 while there is room, more (jittered) under pressure",
  })
  readonly flushAfterMs!: number;
}

@Authorized<Scope>("impressions:write")
@Resolver()
export class RecordResolver {
  @Mutation(() => RecordImpressionsPayload, {
    description:
      "Enqueue what one user saw. Answers once the queue holds it durably; storing it is the workers' job, moments later. " +
      "An impression that turns out to be invalid becomes a dead letter; its neighbours are stored.",
  })
  recordImpressions(
    @Arg("input", () => RecordImpressionsInput) input: RecordImpressionsInput,
    @Ctx() context: RequestContext,
  ): Promise<RecordResult> {
    return recordImpressions(input, context);
  }
}

/**
 * The hot path: schema.ts lets the field call it with the coerced input as it is, without type-graphql's copy of
 * 500 input objects into class instances (12 to 20 us of a request of ten, measured on a prototype), and without the
 * guard of the class above: so the scope is asked for here.
 *
 * A list is refused whole only for what docs/semantics.md names; anything else about an impression is the worker's to
 * judge, so that one bad impression never costs its neighbours.
 */
export async function recordImpressions(
  input: RecordImpressionsInput,
  context: RequestContext,
): Promise<RecordResult> {
  requireScope(context.caller, "impressions:write");
  const { impressions } = input;
  if (impressions.length === 0) {
    throw badUserInput(
      "input.impressions must hold at least one impression; send nothing when nothing was seen.",
    );
  }
  if (impressions.length > IMPRESSIONS_PER_MUTATION_MAX) {
    throw new ApiError(
      "BATCH_TOO_LARGE",
      `input.impressions must hold at most ${IMPRESSIONS_PER_MUTATION_MAX} impressions, not ${impressions.length}. ` +
        "Send them in several requests.",
    );
  }
  const userId = userToRecordFor(context.caller, input.userId ?? null);
  checkId("input.userId", userId);
  const request = { userId, impressions: impressions.map(toImpression), sentAtMs: input.sentAt ?? null };
  const { recorder, impressionLimit } = context.deps;
  if (impressionLimit === null || context.countedFor === null) return recorder.record(request);
  const room = impressionLimit.reserve(context.countedFor, impressions.length);
  try {
    const result = await recorder.record(request);
    room.use();
    return result;
  } finally {
    room.cancel();
  }
}

function toImpression(input: ImpressionInput, index: number): Impression {
  const { postId, viewedAt, surface = null, position = null, dwellMs = null } = input;
  checkText(`input.impressions[${index}].postId`, postId);
  if (surface !== null) checkText(`input.impressions[${index}].surface`, surface);
  return { postId, viewedAtMs: viewedAt, surface, position, dwellMs };
}
