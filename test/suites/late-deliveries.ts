import { afterAll, beforeAll, expect, test } from "vitest";
import { type Clock, MINUTE_MS, systemClock } from "../../src/domain/time.ts";
import type { Workers } from "../../src/workers/worker-pool.ts";
import type { Api, ApiOptions } from "../support/api.ts";
import { startWorkersOn } from "../support/open-engine.ts";

const RECORD =
  "mutation ($input: RecordImpressionsInput!) { recordImpressions(input: $input) { accepted receivedAt } }";
const SEEN = "query ($userId: ID!) { seenPosts(userId: $userId) { nodes { lastViewedAt views } } }";
const SECOND_MS = 1_000;

/** Real time, and what of it a test lets pass at once. */
interface PassingClock extends Clock {
  pass(durationMs: number): void;
}

function createPassingClock(): PassingClock {
  let passedMs = 0;
  return {
    nowMs: () => systemClock.nowMs() + passedMs,
    monotonicMs: () => systemClock.monotonicMs() + passedMs,
    pass(durationMs) {
      passedMs += durationMs;
    },
  };
}

/** The rules of docs/semantics.md for bytes that arrive late, or again, from HTTP to a read of the rows. */
export function lateDeliveriesSuite(
  start: (options: ApiOptions) => Promise<{ readonly api: Api; readonly stop: () => Promise<unknown> }>,
): void {
  const clock = createPassingClock();
  let opened: Awaited<ReturnType<typeof start>>;
  let workers: Workers;

  beforeAll(async () => {
    opened = await start({ clock });
    workers = startWorkersOn(opened.api.engine, {}, clock);
  });
  afterAll(async () => {
    await workers.stop();
    await opened.stop();
  });

  test.each([
    ["twice, 6 minutes apart", 0, [0, 6 * MINUTE_MS]],
    ["late by 629.9 s and by 630.1 s", 0, [629.9 * SECOND_MS, 0.2 * SECOND_MS]],
    ["once, 40 minutes late", 0, [40 * MINUTE_MS]],
    ["again and again for a day", 0, [0, MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 1_440 * MINUTE_MS]],
    ["from a clock two hours behind, 6 minutes apart", -120 * MINUTE_MS, [0, 6 * MINUTE_MS]],
    ["from a clock two hours ahead, a moment apart", 120 * MINUTE_MS, [0, 0]],
  ])("the same bytes, %s: one view", async (userId, errorMs, waitsMs) => {
    const { api } = opened;
    const sentMs = clock.nowMs();
    const viewedAt = new Date(sentMs + errorMs - 2 * SECOND_MS).toISOString();
    const input = {
      userId,
      sentAt: new Date(sentMs + errorMs).toISOString(),
      impressions: [{ postId: "p", viewedAt }],
    };
    for (const waitMs of waitsMs) {
      clock.pass(waitMs);
      await api.run(RECORD, { input });
    }
    await expect.poll(async () => (await api.engine.queue.stats()).pending, { timeout: 60_000 }).toBe(0);
    const { seenPosts } = await api.run<{
      seenPosts: { nodes: { lastViewedAt: string; views: number }[] };
    }>(SEEN, { userId });
    const movedMs = errorMs > 0 ? -errorMs : 0;
    expect(seenPosts.nodes).toEqual([
      { lastViewedAt: new Date(Date.parse(viewedAt) + movedMs).toISOString(), views: 1 },
    ]);
  });
}
