import { encodeSubmission, joinSubmissions } from "../../src/domain/queue-message.ts";
import type { ImpressionQueue } from "../../src/ports/impression-queue.ts";

/** A campaign: many users, and few posts that all of them see. */
const USERS = 20_000;
const POSTS = 200;
/** Impressions of one mutation: what the app sends at once. */
const PER_SUBMISSION = 10;
const PUBLISHES_AT_ONCE = 64;

/** Queues so many different impressions, as group commit would have. */
export async function fillQueue(
  queue: Pick<ImpressionQueue, "publish">,
  { impressions, perMessage }: { readonly impressions: number; readonly perMessage: number },
): Promise<void> {
  const nowMs = Date.now();
  let next = 0;
  async function publisher(): Promise<void> {
    while (next < impressions) {
      const first = next;
      next = Math.min(impressions, first + perMessage);
      await queue.publish({ id: `drain-${nowMs}-${first}`, body: messageOf(first, next, nowMs) });
    }
  }
  await Promise.all(Array.from({ length: PUBLISHES_AT_ONCE }, publisher));
}

/** The impressions from `first` up to `end`. */
function messageOf(first: number, end: number, nowMs: number): string {
  const submissions: string[] = [];
  for (let start = first; start < end; start += PER_SUBMISSION) {
    const count = Math.min(PER_SUBMISSION, end - start);
    submissions.push(
      encodeSubmission({
        userId: `user-${Math.floor(start / PER_SUBMISSION) % USERS}`,
        receivedAtUs: nowMs * 1_000 + start,
        impressions: Array.from({ length: count }, (_, index) => ({
          postId: `post-${((start + index) * 7_919) % POSTS}`,
          viewedAtMs: nowMs - start - index,
          surface: "HOME",
          position: index,
          dwellMs: 1_200,
        })),
      }),
    );
  }
  return joinSubmissions(submissions);
}
