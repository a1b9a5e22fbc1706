import { expect, onTestFinished, test } from "vitest";
import { PipelineDocument, RecordImpressionsDocument } from "../../../src/generated/operations.ts";
import { query, request } from "../../kit/graphql-request.ts";
import { createRandom } from "../../kit/random.ts";
import { walkPostViewers } from "../../kit/walks.ts";
import { openSharedInstallation } from "../../support/shared-installation.ts";

/** 300,000 by hand: `VIRAL_VIEWERS=300000 npx vitest run --project servers test/e2e/cluster/viral-post.test.ts`. */
const VIEWERS = Number(process.env.VIRAL_VIEWERS ?? 30_000);
/** Well under what one process writes here, so that every worker goes on in finer slices in the middle of the run. */
const SLICE_ROWS_MAX = Number(process.env.VIRAL_SLICE_ROWS ?? (VIEWERS > 100_000 ? 25_000 : 2_000));
const WORKER_PROCESSES = 3;
const SENDERS = 32;
const POST = "viral";

test("a viral post: every viewer exactly once, newest first, and no partition grows beyond its bound", {
  timeout: 30 * 60_000,
}, async () => {
  const installation = await openSharedInstallation();
  onTestFinished(installation.dispose);
  const { url } = await installation.start("api");
  for (let worker = 0; worker < WORKER_PROCESSES; worker++) {
    await installation.start("worker", { SLICE_ROWS_MAX: String(SLICE_ROWS_MAX) });
  }

  const seed = Number(process.env.VIRAL_SEED ?? Date.now() % 1_000_000);
  console.info(`VIRAL_SEED=${seed}`);
  const random = createRandom(seed);
  const startMs = Date.now() - 60 * 60_000;
  const newest = new Map<string, number>();
  let next = 0;
  const send = async (userId: string, viewedAtMs: readonly number[]) => {
    const impressions = viewedAtMs.map((at) => ({ postId: POST, viewedAt: new Date(at).toISOString() }));
    for (;;) {
      const { data, errors } = await request(url, RecordImpressionsDocument, {
        input: { userId, impressions },
      });
      if (data != null) return;
      // Pressure is an answer too: the list stays with its sender, who comes again.
      expect(errors?.[0]?.extensions?.code).toMatch(/OVERLOADED|QUEUE_UNAVAILABLE/);
    }
  };
  await Promise.all(
    Array.from({ length: SENDERS }, async () => {
      while (next < VIEWERS) {
        const userId = `viewer-${next++}`;
        const times = [startMs + random.integer(0, 55 * 60_000)];
        if (random.chance(0.2)) times.push(startMs + random.integer(0, 55 * 60_000));
        await send(userId, times);
        // Some lists arrive twice, some users come back much later in the run.
        if (random.chance(0.1)) await send(userId, times);
        if (random.chance(0.05)) {
          const again = `viewer-${random.integer(0, next - 1)}`;
          const atMs = startMs + random.integer(0, 55 * 60_000);
          newest.set(again, Math.max(newest.get(again) ?? 0, atMs));
          await send(again, [atMs]);
        }
        newest.set(userId, Math.max(newest.get(userId) ?? 0, ...times));
      }
    }),
  );
  await expect
    .poll(async () => (await query(url, PipelineDocument, {})).pipeline.pending, { timeout: 10 * 60_000 })
    .toBe(0);

  const viewers = await walkPostViewers(url, POST);
  expect(viewers).toHaveLength(newest.size);
  expect(new Set(viewers.map(({ user }) => user.id)).size).toBe(viewers.length);
  let before = Number.POSITIVE_INFINITY;
  for (const { user, lastViewedAt } of viewers) {
    const atMs = Date.parse(lastViewedAt);
    expect(atMs, user.id).toBe(newest.get(user.id));
    expect(atMs, "newest first").toBeLessThanOrEqual(before);
    before = atMs;
  }

  const { rows: partitions } = await installation.client().execute(
    `SELECT slice_seconds, count(*) AS views FROM ${installation.keyspace}.viewers_by_post
         GROUP BY post_id, slice_seconds, slice_start, shard`,
  );
  const sizes = partitions.map((row) => Number(row.views));
  console.info(`${sizes.length} partitions, the largest with ${Math.max(...sizes)} rows`);
  expect(new Set(partitions.map((row) => Number(row.slice_seconds))).size).toBeGreaterThan(1);
  // Each process fills a slice up to its own count, and by as much as was on the way when it got there.
  const finestSlice = sizes.length === 0 ? 0 : Math.ceil((newest.size * 1.4) / 55);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(SLICE_ROWS_MAX * WORKER_PROCESSES + finestSlice);
});
