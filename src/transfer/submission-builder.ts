import type { Impression, Submission, View } from "../domain/impression.ts";
import { HOST_CLOCK_SKEW_US_MAX, IMPRESSIONS_PER_MUTATION_MAX } from "../domain/limits.ts";
import type { WallClock } from "../domain/time.ts";
import { isExpired, judge } from "../domain/validation.ts";
import { versionKey } from "../domain/versions.ts";
import type { ReceivedAtClock } from "../ingest/received-at-clock.ts";
import type { LineRecord, LineRejection } from "./line-codec.ts";

/**
 * A submission closes before its lines together exceed this. The same impressions take fewer bytes in a queue message
 * than as lines, so it stays far below what the queue takes (SUBMISSION_BYTES_MAX).
 */
const SUBMISSION_LINE_BYTES_MAX = 128 * 1024;

export type AddedLine =
  | { readonly kind: "accepted" }
  /** Its time is over: there is nothing to store. */
  | { readonly kind: "old" }
  | { readonly kind: "rejected"; readonly rejection: LineRejection };

/** Judges lines and gathers what is valid into submissions. */
export interface SubmissionBuilder {
  /** @param lineBytes about how long the line is. */
  add(record: LineRecord, lineBytes: number): AddedLine;
  /** The submissions since the last call, in the order of their lines. */
  take(): Submission[];
}

/** A submission that still takes lines. */
interface OpenSubmission {
  readonly userId: string;
  /** What its lines say; null where they say nothing and `receivedAtUs` was stamped here. */
  readonly givenReceivedAtUs: number | null;
  readonly receivedAtUs: number;
  readonly impressions: Impression[];
  /** The views that it holds already: only a mutation says that its last version of one is the latest. */
  readonly views: Set<string | null>;
  lineBytes: number;
}

/**
 * Consecutive lines of one user with one receivedAt, or without any, become one submission, so that a file sorted by
 * user costs one submission for many lines.
 */
export function createSubmissionBuilder(deps: {
  readonly receivedAt: ReceivedAtClock;
  readonly clock: WallClock;
  readonly retentionMs: number;
  /** Whether ids that look as if they had lost their characters are taken for whole. */
  readonly takesLostCharacters: boolean;
}): SubmissionBuilder {
  let submissions: OpenSubmission[] = [];

  function openFor(record: LineRecord, lineBytes: number): OpenSubmission | null {
    const last = submissions.at(-1);
    const fits =
      last !== undefined &&
      last.userId === record.userId &&
      last.givenReceivedAtUs === record.receivedAtUs &&
      !last.views.has(versionKey(record.impression)) &&
      last.impressions.length < IMPRESSIONS_PER_MUTATION_MAX &&
      last.lineBytes + lineBytes <= SUBMISSION_LINE_BYTES_MAX;
    return fits ? last : null;
  }

  return {
    add(record, lineBytes) {
      const nowMs = deps.clock.nowMs();
      const given = record.receivedAtUs;
      // receivedAt decides which of two views stays and what an erasure covers: one from the future would win over
      // everything that is really received until then, and survive an erasure.
      if (given !== null && given > nowMs * 1_000 + HOST_CLOCK_SKEW_US_MAX) {
        return rejected("INVALID_FIELD", "receivedAt lies in the future by this machine's clock");
      }
      const open = openFor(record, lineBytes);
      const receivedAtUs = open?.receivedAtUs ?? given ?? deps.receivedAt.nextUs();
      const judgement = judge(record.userId, receivedAtUs, record.impression, deps.retentionMs);
      if (judgement.kind === "rejected") {
        const { rejection } = judgement;
        return rejection.reason === "OLDER_THAN_RETENTION"
          ? { kind: "old" }
          : { kind: "rejected", rejection };
      }
      const { view } = judgement;
      // Fresh when it was received, over by now: the workers would only ack it.
      if (isExpired(view, nowMs, deps.retentionMs)) return { kind: "old" };
      const lost = deps.takesLostCharacters ? null : lostCharacters(view);
      if (lost !== null) return rejected("LOST_CHARACTERS", lost);
      const { userId, receivedAtUs: _, ...impression } = view;
      if (open === null) {
        submissions.push({
          userId,
          givenReceivedAtUs: given,
          receivedAtUs,
          impressions: [impression],
          views: new Set([versionKey(view)]),
          lineBytes,
        });
      } else {
        open.impressions.push(impression);
        open.views.add(versionKey(view));
        open.lineBytes += lineBytes;
      }
      return { kind: "accepted" };
    },

    take() {
      const taken = submissions;
      submissions = [];
      return taken.map(({ userId, receivedAtUs, impressions }) => ({ userId, receivedAtUs, impressions }));
    },
  };
}

function rejected(reason: LineRejection["reason"], detail: string): AddedLine {
  return { kind: "rejected", rejection: { reason, detail } };
}

/** What programs write in place of characters that their output has not: the second is Unicode's own sign for that. */
const LOST = /^\?+$|\ufffd/u;

/**
 * A sentence, where an id seems to have lost its characters when the file was made. Taken as it is, it would make one
 * user of all whose names have as many letters, and nothing could tell them apart again.
 */
function lostCharacters({ userId, postId }: View): string | null {
  const [field, id] = LOST.test(userId) ? ["userId", userId] : ["postId", postId];
  if (!LOST.test(id)) return null;
  return (
    `${field} ${JSON.stringify(id)} seems to have lost its characters: export the file anew, in UTF-8 from end to end, ` +
    "or add --allow-lost-characters if it is what it looks like"
  );
}
