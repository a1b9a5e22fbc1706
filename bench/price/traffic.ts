import type { Impression, Submission } from "../../src/domain/impression.ts";
import { encodeSubmission, joinSubmissions } from "../../src/domain/queue-message.ts";
import type { ImpressionQueue } from "../../src/ports/impression-queue.ts";
import { IMPRESSIONS_PER_MESSAGE } from "../drain/backlog.ts";
import { submissionOf, type Traffic } from "../support/traffic.ts";

/** What is written: which posts, how many views a mutation, and what ids look like. */
export interface Form {
  readonly traffic: Traffic;
  /** Up to 10. */
  readonly viewsPerMutation: number;
  readonly ids: "regular" | "UUID";
}

const PUBLISHES_AT_ONCE = 64;

/** The mutation of that number: always the same for the same arguments. */
export function mutationOf(
  { traffic, viewsPerMutation, ids }: Form,
  mutation: number,
  endMs: number,
): Submission {
  const { userId, receivedAtUs, impressions } = submissionOf(mutation, traffic, endMs);
  const idOf = ids === "UUID" ? uuidOf : (id: string) => id;
  return {
    userId: idOf(userId),
    receivedAtUs,
    impressions: impressions
      .slice(0, viewsPerMutation)
      .map((impression): Impression => ({ ...impression, postId: idOf(impression.postId) })),
  };
}

/** Queues submissions as group commit would have: so many impressions a message. */
export async function fillWith(
  queue: Pick<ImpressionQueue, "publish">,
  submissions: Iterable<Submission>,
  prefix: string,
): Promise<void> {
  const source = submissions[Symbol.iterator]();
  let message = 0;
  async function publisher(): Promise<void> {
    for (;;) {
      const parts: ReturnType<typeof encodeSubmission>[] = [];
      for (let views = 0; views < IMPRESSIONS_PER_MESSAGE; ) {
        const next = source.next();
        if (next.done === true) break;
        parts.push(encodeSubmission(next.value));
        views += next.value.impressions.length;
      }
      if (parts.length === 0) return;
      await queue.publish({ id: `${prefix}-${message++}`, body: joinSubmissions(parts) });
    }
  }
  await Promise.all(Array.from({ length: PUBLISHES_AT_ONCE }, publisher));
}

/** A version 4 UUID that is always the same for a text. */
function uuidOf(text: string): string {
  let state = 0x811c9dc5;
  const bytes = Array.from({ length: 16 }, (_, index) => {
    for (const character of `${index}${text}`) {
      state = Math.imul(state ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
    }
    return (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 24) & 255;
  });
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [8, 12, 16, 20, 32].map((end, part) => hex.slice([0, 8, 12, 16, 20][part], end)).join("-");
}
