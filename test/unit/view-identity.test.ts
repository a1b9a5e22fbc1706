import { expect, test } from "vitest";
import type { View } from "../../src/domain/impression.ts";
import { identityOf } from "../../src/domain/impression.ts";
import { CLOCK_TOLERANCE_MS } from "../../src/domain/limits.ts";
import { encodeSubmission, joinSubmissions } from "../../src/domain/queue-message.ts";
import { DAY_MS, MINUTE_MS } from "../../src/domain/time.ts";
import { laterReceived } from "../../src/domain/versions.ts";
import type { GroupCommit } from "../../src/ingest/group-commit.ts";
import { createReceivedAtClock } from "../../src/ingest/received-at-clock.ts";
import { createRecorder } from "../../src/ingest/recorder.ts";
import { createPlanner } from "../../src/workers/planner.ts";
import { createRandom, type Random } from "../kit/random.ts";

/**
 * What docs/semantics.md says about time and identity, held against random senders: their clocks, what is under way for
 * how long, and how often it arrives. Each list goes through the recorder, a queue message and the workers' plan.
 *
 * A failure names its seed: IDENTITY_SEED=n runs that one, IDENTITY_WORLDS=10000 more of them.
 */
const WORLDS = Number(process.env.IDENTITY_WORLDS ?? 300);
const ONLY = process.env.IDENTITY_SEED;

const RETENTION_MS = 90 * DAY_MS;
const SENT_MS = Date.parse("2026-09-21T13:33:20Z");
/** No true time in these worlds is near it: a clock that shows less was never set. */
const SERVICE_BEGAN_MS = Date.parse("2025-01-01T00:00:00Z");
const HALF_MINUTE_MS = MINUTE_MS / 2;

const CLOCKS = ["right", "behind", "ahead", "never set", "drifting", "set while views wait"] as const;
type ClockKind = (typeof CLOCKS)[number];

/** One delivery: the time of sending, the sender's clock at that time, and the time of arrival. */
interface SentList {
  readonly sentMs: number;
  readonly sentAtMs: number | null;
  readonly receivedMs: number;
}

interface World {
  readonly clock: ClockKind;
  /** How far ahead of the truth the device's clock is at a true instant. */
  errorMs(trueMs: number): number;
  /** True instants, one post each. */
  readonly viewedMs: readonly number[];
  readonly deliveries: readonly SentList[];
}

function createWorld(random: Random): World {
  const clock = random.pick(CLOCKS);
  const errorMs = clockError(clock, random);
  const viewedMs = Array.from(
    { length: random.integer(1, 4) },
    () => SENT_MS - random.integer(0, 3 * DAY_MS),
  );
  const saysSentAt = random.chance(0.85);
  const attempts = Array.from({ length: random.integer(1, 3) }, (_, index) => SENT_MS + index * 40_000);
  const deliveries = attempts.flatMap((sentMs) =>
    Array.from({ length: random.integer(1, 3) }, () => ({
      sentMs,
      sentAtMs: saysSentAt ? sentMs + errorMs(sentMs) : null,
      receivedMs: sentMs + delayMs(random),
    })),
  );
  return { clock, errorMs, viewedMs, deliveries: deliveries.sort((a, b) => a.receivedMs - b.receivedMs) };
}

function clockError(clock: ClockKind, random: Random): World["errorMs"] {
  const within = (minMs: number, maxMs: number) => random.integer(minMs, maxMs);
  switch (clock) {
    case "right": {
      const errorMs = within(-2_000, 2_000);
      return () => errorMs;
    }
    case "behind": {
      const errorMs = -within(2_000, random.pick([20 * MINUTE_MS, 40 * DAY_MS]));
      return () => errorMs;
    }
    case "ahead": {
      const errorMs = random.pick([
        within(2_000, 20 * MINUTE_MS),
        within(2_000, 400 * DAY_MS),
        // Local time sent as if it were UTC.
        random.integer(1, 14) * 60 * MINUTE_MS + within(-2_000, 2_000),
      ]);
      return () => errorMs;
    }
    case "never set": {
      const shownMs = random.pick([0, Date.parse("2015-01-01T00:00:00Z")]) + within(0, 30 * DAY_MS);
      return () => shownMs - SENT_MS;
    }
    case "drifting": {
      const perMillion = within(-500, 500);
      const errorMs = within(-4 * MINUTE_MS, 4 * MINUTE_MS);
      return (trueMs) => errorMs + Math.round(((trueMs - SENT_MS) * perMillion) / 1e6);
    }
    case "set while views wait": {
      const setMs = SENT_MS - within(0, 3 * DAY_MS);
      const before = within(-20 * DAY_MS, 20 * DAY_MS);
      const after = random.pick([0, within(-20 * DAY_MS, 20 * DAY_MS)]);
      return (trueMs) => (trueMs < setMs ? before : after);
    }
  }
}

function delayMs(random: Random): number {
  return random.pick([
    random.integer(20, 3_000),
    random.integer(3_000, 12 * MINUTE_MS),
    // Where the old rule changed its mind, and where a proxy or a service worker tries again.
    random.pick([299_900, 300_100, 6 * MINUTE_MS, 629_900, 630_100]),
    random.integer(0, 2 * DAY_MS),
    random.integer(0, 30 * DAY_MS),
  ]);
}

/** The rows that are stored in the end. */
async function storedOf({ viewedMs, errorMs, deliveries }: World): Promise<View[]> {
  const stored = new Map<string, View>();
  for (const [index, { sentAtMs, receivedMs }] of deliveries.entries()) {
    const clock = { nowMs: () => receivedMs };
    let body = "";
    const groupCommit: GroupCommit = {
      async add(submission) {
        body = joinSubmissions([encodeSubmission(submission)]);
      },
      usedShares: () => [],
      drain: async () => undefined,
    };
    const receivedAt = createReceivedAtClock(clock);
    const recorder = createRecorder({ groupCommit, receivedAt, clock, flushAfterMs: () => 0 });
    const impressions = viewedMs.map((trueMs, post) => ({
      postId: `p${post}`,
      viewedAtMs: trueMs + errorMs(trueMs),
      surface: null,
      position: null,
      dwellMs: null,
    }));
    await recorder.record({ userId: "u", impressions, sentAtMs });
    const planner = createPlanner({
      stream: "S",
      retentionMs: RETENTION_MS,
      nowMs: receivedMs,
      expiryMs: receivedMs,
    });
    const delivery = { sequence: index, body: Buffer.from(body), deliveries: 1, publishedAtMs: receivedMs };
    planner.add(delivery);
    for (const { view } of planner.finish().historyBatches.flatMap(({ views }) => views)) {
      stored.set(identityOf(view), laterReceived(stored.get(identityOf(view)) ?? view, view));
    }
  }
  return [...stored.values()];
}

/** The only senders whose lists are moved: no right clock shows this, whatever the delay. */
const isCertainlyWrong = ({ sentAtMs, receivedMs }: SentList) =>
  sentAtMs !== null && (sentAtMs > receivedMs + CLOCK_TOLERANCE_MS || sentAtMs < SERVICE_BEGAN_MS);

/** Throws where a world breaks a rule. @returns how many views its rows stand for, and how many rows there are. */
async function checkWorld(world: World): Promise<{ moved: boolean; views: number; rows: number }> {
  const stored = await storedOf(world);
  let rows = 0;
  let views = 0;
  for (const [post, trueMs] of world.viewedMs.entries()) {
    const mine = stored.filter(({ postId }) => postId === `p${post}`);
    const saidMs = trueMs + world.errorMs(trueMs);
    const moved = world.deliveries.filter(isCertainlyWrong);
    const asSent = world.deliveries.filter((delivery) => !isCertainlyWrong(delivery));
    const fits = asSent.some(
      ({ receivedMs }) => saidMs <= receivedMs + CLOCK_TOLERANCE_MS && saidMs >= receivedMs - RETENTION_MS,
    );
    rows += mine.length;
    views += mine.length > 0 ? 1 : 0;

    // As sent: one view, whatever the delays, dated as the sender said.
    const unmoved = mine.filter(({ viewedAtMs }) => viewedAtMs === saidMs);
    if (fits) expect(unmoved).toHaveLength(1);
    // Moved: at most one for each delivery, each between the truth and its receipt, but for the rounding and for what the
    // sender's clock changed by between the view and the sending.
    const others = mine.filter(({ viewedAtMs }) => viewedAtMs !== saidMs);
    expect(others.length).toBeLessThanOrEqual(moved.length);
    for (const { viewedAtMs } of others) {
      const explained = moved.some(({ sentMs, receivedMs }) => {
        const bestMs = trueMs + world.errorMs(trueMs) - world.errorMs(sentMs);
        return (
          viewedAtMs >= bestMs - HALF_MINUTE_MS &&
          viewedAtMs <= bestMs + (receivedMs - sentMs) + HALF_MINUTE_MS
        );
      });
      expect(explained, `${viewedAtMs - trueMs} ms from the truth`).toBe(true);
    }
    if (moved.length > 0 && world.clock !== "set while views wait" && world.clock !== "drifting") {
      expect(mine.length, "a view of a sender that was corrected is stored").toBeGreaterThan(0);
    }
    for (const { viewedAtMs, receivedAtUs } of mine) {
      expect(viewedAtMs).toBeLessThanOrEqual(receivedAtUs / 1_000 + CLOCK_TOLERANCE_MS);
    }
  }
  return { moved: world.deliveries.some(isCertainlyWrong), views, rows };
}

test(`the identity of a view does not depend on its arrival (${ONLY ?? WORLDS} worlds)`, async () => {
  const seeds = ONLY === undefined ? Array.from({ length: WORLDS }, (_, seed) => seed) : [Number(ONLY)];
  const counts = { asSent: { worlds: 0, views: 0, rows: 0 }, moved: { worlds: 0, views: 0, rows: 0 } };
  for (const seed of seeds) {
    const { moved, views, rows } = await checkWorld(createWorld(createRandom(seed))).catch(
      (error: unknown) => {
        throw new Error(`IDENTITY_SEED=${seed}: ${error instanceof Error ? error.message : error}`, {
          cause: error,
        });
      },
    );
    const count = moved ? counts.moved : counts.asSent;
    count.worlds++;
    count.views += views;
    count.rows += rows;
  }
  if (process.env.IDENTITY_WORLDS !== undefined) console.log(counts);
  expect(counts.asSent.rows).toBe(counts.asSent.views);
  if (ONLY === undefined) {
    expect(counts.asSent.worlds).toBeGreaterThan(WORLDS / 4);
    expect(counts.moved.worlds).toBeGreaterThan(WORLDS / 10);
  }
});
