import { expect } from "vitest";
import {
  PipelineDocument,
  RecordImpressionsDocument,
  UnseenPostsDocument,
} from "../../src/generated/operations.ts";
import { query, request } from "../kit/graphql-request.ts";
import type { ServiceProcess } from "../kit/service-process.ts";

export const QUEUE_LIMIT = { QUEUE_MAX_BYTES: "1MiB", DEAD_LETTER_MAX_BYTES: "1MiB" };
const PER_MUTATION = 500;
/** Far more mutations than the queue has room for. */
const MUTATIONS_MAX = 500;
/** Above half of the limit clients are asked to wait. */
const PRESSED_SHARE = 0.6;
const TIMEOUT_MS = 500_000;

/**
 * The chain from a store that takes nothing to the client: the breaker opens, the backlog grows, clients are asked to
 * wait, the full queue refuses; and once the store is back everything acknowledged is stored, and nothing else is
 * needed.
 *
 * @param service runs on a store that takes nothing, with QUEUE_LIMIT.
 * @param restore mends the store. @returns the service that goes on.
 */
export async function provesBackpressure(
  service: ServiceProcess,
  restore: () => Promise<ServiceProcess>,
): Promise<void> {
  const acknowledged: string[] = [];
  let mutations = 0;

  /** Sends one list. @returns the answer; what was acknowledged is noted. */
  async function send(count: number) {
    const viewedAt = new Date().toISOString();
    const mutation = mutations++;
    const impressions = Array.from({ length: count }, (_, index) => ({
      postId: `p${mutation}-${index}`,
      viewedAt,
    }));
    const answer = await request(service.url, RecordImpressionsDocument, {
      input: { userId: "u", impressions },
    });
    if (answer.errors === undefined) acknowledged.push(...impressions.map(({ postId }) => postId));
    return answer;
  }
  const usedShare = async () => {
    const { pipeline } = await query(service.url, PipelineDocument, {});
    return pipeline.queueBytes / pipeline.queueLimitBytes;
  };

  expect((await send(PER_MUTATION)).data?.recordImpressions.flushAfterMs).toBe(0);
  while ((await usedShare()) < PRESSED_SHARE) expect((await send(PER_MUTATION)).errors).toBeUndefined();
  await expect
    .poll(async () => (await send(1)).data?.recordImpressions.flushAfterMs, { timeout: TIMEOUT_MS })
    .toBeGreaterThan(0);
  let refused = await send(PER_MUTATION);
  while (refused.errors === undefined && mutations < MUTATIONS_MAX) refused = await send(PER_MUTATION);
  expect(refused.status).toBe(503);
  expect(refused.headers.get("retry-after")).not.toBeNull();
  expect(refused.errors?.[0]?.extensions).toMatchObject({
    code: "OVERLOADED",
    retryAfterMs: expect.any(Number),
  });
  await expect
    .poll(async () => (await query(service.url, PipelineDocument, {})).pipeline, { timeout: TIMEOUT_MS })
    .toMatchObject({
      deadLetters: 0,
      workers: [1, 2].map(() => expect.objectContaining({ state: "PAUSED", storeHealthy: false })),
    });

  const { url } = await restore();
  await expect
    .poll(async () => (await request(url, PipelineDocument, {})).data?.pipeline.pending, {
      timeout: TIMEOUT_MS,
    })
    .toBe(0);
  for (let start = 0; start < acknowledged.length; start += 1_000) {
    const candidates = acknowledged.slice(start, start + 1_000);
    expect((await query(url, UnseenPostsDocument, { userId: "u", candidates })).unseenPosts).toEqual([]);
  }
  const again = [{ postId: "again", viewedAt: new Date().toISOString() }];
  const { recordImpressions } = await query(url, RecordImpressionsDocument, {
    input: { userId: "u", impressions: again },
  });
  expect(recordImpressions.accepted).toBe(1);
}
