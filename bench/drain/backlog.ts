import { encodeSubmission, joinSubmissions } from "../../src/domain/queue-message.ts";
import type { ImpressionQueue } from "../../src/ports/impression-queue.ts";
import { IMPRESSIONS_PER_MUTATION } from "../support/mutations.ts";
import { submissionOf, type Traffic, type Users } from "../support/traffic.ts";

/** The size of a group commit with 64 connections. */
export const IMPRESSIONS_PER_MESSAGE = 300;
const PUBLISHES_AT_ONCE = 64;

/** Which mutations, of which traffic. */
export interface Mutations {
  readonly traffic: Traffic;
  readonly first: number;
  readonly count: number;
  /** Everything was viewed before it, epoch milliseconds. */
  readonly endMs: number;
  /** EVERYBODY unless given. */
  readonly users?: Users;
}

/** Queues them, so many impressions a message, as group commit would have. */
export async function fillQueue(
  queue: Pick<ImpressionQueue, "publish">,
  { traffic, first, count, endMs, users }: Mutations,
  impressionsPerMessage: number,
): Promise<void> {
  const perMessage = Math.max(1, Math.floor(impressionsPerMessage / IMPRESSIONS_PER_MUTATION));
  const end = first + count;
  let next = first;
  async function publisher(): Promise<void> {
    while (next < end) {
      const start = next;
      next = Math.min(end, start + perMessage);
      const submissions = Array.from({ length: next - start }, (_, index) =>
        encodeSubmission(submissionOf(start + index, traffic, endMs, users)),
      );
      await queue.publish({ id: `drain-${endMs}-${start}`, body: joinSubmissions(submissions) });
    }
  }
  await Promise.all(Array.from({ length: PUBLISHES_AT_ONCE }, publisher));
}
