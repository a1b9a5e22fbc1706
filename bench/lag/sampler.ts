import { setTimeout as sleep } from "node:timers/promises";
import { RecordImpressionsDocument, UnseenPostsDocument } from "../../src/generated/operations.ts";
import { query } from "../../test/kit/graphql-request.ts";

/**
 * How often a sample looks whether it is there, and so how exactly its lag is told: this much, or a twentieth of the lag
 * where that is more. Hundreds that wait for a minute must not be a load of their own.
 */
const POLL_MS = 5;
const POLL_SHARE = 1 / 20;
/** Longer durations are reported as this one. */
const LAG_MS_MAX = 60_000;

/** Something that a user saw, and how long after its acknowledgement a recommender could know. */
export interface Sample {
  /** When it was acknowledged, from the start. */
  readonly atMs: number;
  readonly lagMs: number;
}

/**
 * Records views of users of its own, `perSecond` of them, and asks for each until it is seen, for a minute at most.
 *
 * @param name tells its users from those of other calls.
 */
export async function sampleLag(
  url: string,
  {
    name,
    perSecond,
    seconds,
  }: { readonly name: string; readonly perSecond: number; readonly seconds: number },
): Promise<Sample[]> {
  const startMs = performance.now();
  const samples: Promise<Sample>[] = [];
  for (let index = 0; index < perSecond * seconds; index++) {
    const dueMs = (index * 1_000) / perSecond;
    await sleep(Math.max(0, dueMs - (performance.now() - startMs)));
    samples.push(sampleOnce(url, `${name}-${index}`, startMs));
  }
  return Promise.all(samples);
}

async function sampleOnce(url: string, userId: string, startMs: number): Promise<Sample> {
  const postId = "sampled";
  const impressions = [{ postId, viewedAt: new Date().toISOString() }];
  await query(url, RecordImpressionsDocument, { input: { userId, impressions } });
  const acknowledgedMs = performance.now();
  for (;;) {
    const { unseenPosts } = await query(url, UnseenPostsDocument, { userId, candidates: [postId] });
    const lagMs = performance.now() - acknowledgedMs;
    if (unseenPosts.length === 0 || lagMs > LAG_MS_MAX)
      return { atMs: acknowledgedMs - startMs, lagMs: Math.min(lagMs, LAG_MS_MAX) };
    await sleep(Math.max(POLL_MS, lagMs * POLL_SHARE));
  }
}
