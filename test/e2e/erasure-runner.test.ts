import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { claimDelayMs, type ErasureRunner, startErasureRunner } from "../../src/admin/erasure-runner.ts";
import type { Engine } from "../../src/app/engine.ts";
import { type Erasure, erasedThroughUs } from "../../src/domain/erasure.ts";
import { type Clock, DAY_MS, systemClock } from "../../src/domain/time.ts";
import { StoreRefusedError, StoreUnavailableError } from "../../src/ports/errors.ts";
import type { ImpressionQueue } from "../../src/ports/impression-queue.ts";
import type { ImpressionStore } from "../../src/ports/impression-store.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { letterOf } from "../contract/queue/dead-letters.ts";
import { pullCount } from "../contract/queue/fixture.ts";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { EVERYTHING, recordViews, viewOf } from "../kit/views.ts";
import { openEngineOf } from "../support/open-engine.ts";

const PATIENCE = { timeout: 60_000 };

describe("the runner of erasures", () => {
  const directory = createTemporaryDirectory();
  let engine: Engine;

  beforeAll(async () => {
    engine = await openEngineOf({ DATA_DIR: directory.path });
  });

  afterAll(async () => {
    await engine.close();
    directory.remove();
  });

  /** An erasure that was requested ten seconds ago, so that only the queue is waited for. */
  async function requested(agoMs = 10_000): Promise<Erasure> {
    const erasure: Erasure = {
      id: randomUUID(),
      userId: `user-${randomUUID()}`,
      requestedAtUs: (Date.now() - agoMs) * 1_000,
      status: "WAITING_FOR_QUEUE",
      rowsDeleted: 0,
      finishedAtMs: null,
    };
    await engine.store.saveErasure(erasure);
    return erasure;
  }

  function run(
    parts: { store?: Partial<ImpressionStore>; queue?: Partial<ImpressionQueue>; clock?: Clock } = {},
  ): ErasureRunner {
    const runner = startErasureRunner({
      store: { ...engine.store, ...parts.store },
      queue: { ...engine.queue, ...parts.queue },
      clock: parts.clock ?? systemClock,
      enqueuedWithinMs: 0,
      holder: randomUUID(),
      leaseMs: 1_000,
      logger: createLogger("silent"),
    });
    onTestFinished(runner.stop);
    return runner;
  }

  const statusOf = async ({ id }: Erasure) => (await engine.store.findErasure(id))?.status;

  test("waits until what was queued before is settled, and deletes nothing until then", async () => {
    const { queue } = engine;
    await queue.publish({ id: randomUUID(), body: "unsettled" });
    const [message] = await pullCount(queue, 1);
    const erasure = await requested();
    const letter = letterOf({ userId: erasure.userId });
    await queue.deadLetters.add([letter]);
    let looks = 0;
    run({
      queue: {
        isAckedThrough(sequence) {
          looks++;
          return queue.isAckedThrough(sequence);
        },
      },
    });
    await expect.poll(() => looks, PATIENCE).toBeGreaterThan(2);
    expect(await statusOf(erasure)).toBe("WAITING_FOR_QUEUE");
    expect(await queue.deadLetters.count()).toBe(1);
    // The erasure does not wait for messages that come after its wait has begun.
    await queue.publish({ id: randomUUID(), body: "later" });
    if (message !== undefined) await queue.ack([message]);
    await expect.poll(() => queue.deadLetters.count(), PATIENCE).toBe(0);
    await queue.ack(await pullCount(queue, 1));
    await expect.poll(() => statusOf(erasure), PATIENCE).toBe("DONE");
  });

  test("erases up to five seconds after the request, for hosts whose clocks differ", async () => {
    const erasure = await requested();
    const through: number[] = [];
    run({
      store: {
        async eraseUser(_userId, throughReceivedAtUs) {
          through.push(throughReceivedAtUs);
          return { rowsDeleted: 0 };
        },
      },
    });
    await expect.poll(() => statusOf(erasure), PATIENCE).toBe("DONE");
    expect(through).toEqual([erasure.requestedAtUs + 5_000_000]);
    expect(erasedThroughUs(erasure)).toBe(through[0]);
  });

  test("a request that a clock dated 100 days ahead is carried out now, and keeps no later view out until then", async () => {
    const { store } = engine;
    const erasure = await requested(-100 * DAY_MS);
    const { userId } = erasure;
    const of = (postId: string, receivedAtMs: number) =>
      viewOf({ userId, postId, viewedAtMs: Date.now() - 60_000, receivedAtUs: receivedAtMs * 1_000 });
    await recordViews(store, [of("before", Date.now() - 60_000), of("ahead", Date.now() + 99 * DAY_MS)]);
    run();
    await expect.poll(() => statusOf(erasure), PATIENCE).toBe("DONE");
    expect(await store.findErasure(erasure.id)).toMatchObject({ rowsDeleted: 2 });
    await recordViews(store, [of("new", Date.now() + 60_000)]);
    const request = { ownerId: userId, window: EVERYTHING, after: null, limit: 10 };
    expect((await store.seenPosts(request)).rows.map(({ postId }) => postId)).toEqual(["new"]);
  });

  test("leaves the dead letters of what was received later", async () => {
    const { deadLetters } = engine.queue;
    const erasure = await requested();
    const { userId } = erasure;
    const throughUs = erasedThroughUs(erasure);
    // The last one by a clock that was ahead: nothing is received later than now.
    const letters = [throughUs - 1, throughUs, throughUs + 1, throughUs + 600_000_000].map((receivedAtUs) =>
      letterOf({ userId, receivedAtUs }),
    );
    await deadLetters.add(letters);
    run();
    await expect.poll(() => statusOf(erasure), PATIENCE).toBe("DONE");
    const left = await deadLetters.page({ filter: { userId }, before: null, limit: 10 });
    expect(left.deadLetters.map(({ receivedAtUs }) => receivedAtUs)).toEqual([throughUs + 1]);
    await deadLetters.remove(letters.map(({ id }) => id));
  });

  test("goes on after an outage of the store", async () => {
    const erasure = await requested();
    let failures = 2;
    run({
      store: {
        eraseUser(...given) {
          if (failures-- > 0) return Promise.reject(new StoreUnavailableError("down"));
          return engine.store.eraseUser(...given);
        },
      },
    });
    await expect.poll(() => statusOf(erasure), PATIENCE).toBe("DONE");
    expect(failures).toBeLessThan(0);
  });

  test("one that never succeeds holds up no other", async () => {
    const stuck = [
      await requested(),
      await requested(),
      await requested(),
      await requested(),
      await requested(),
    ];
    const isStuck = (userId: string) => stuck.some((erasure) => erasure.userId === userId);
    const next = await requested();
    // So much time passes between any two looks that all of them are due all the time.
    let monotonicMs = 0;
    const runner = run({
      clock: { ...systemClock, monotonicMs: () => (monotonicMs += 60_000) },
      store: {
        eraseUser(userId, ...given) {
          if (isStuck(userId)) return Promise.reject(new StoreUnavailableError("the read timed out"));
          return engine.store.eraseUser(userId, ...given);
        },
      },
    });
    await expect.poll(() => statusOf(next), PATIENCE).toBe("DONE");
    const later = await requested();
    runner.wake();
    await expect.poll(() => statusOf(later), PATIENCE).toBe("DONE");
    await expect.poll(runner.stuck, PATIENCE).toBe(stuck.length);
    for (const erasure of stuck) expect(await statusOf(erasure)).toBe("DELETING");
    await runner.stop();
    for (const erasure of stuck)
      await engine.store.saveErasure({ ...erasure, status: "FAILED", finishedAtMs: 1 });
  });

  test("several runners never work at one erasure at once, and go on with one that was left behind", async () => {
    const erasures = [await requested(), await requested(), await requested()];
    // A dead process: its claim is never released.
    expect(await engine.store.claimErasure(erasures[0]?.id ?? "", "dead", 1_000)).toBe(true);
    const working = new Set<string>();
    let overlaps = 0;
    let worked = 0;
    for (let runner = 0; runner < 3; runner++) {
      run({
        store: {
          async eraseUser(userId, ...given) {
            if (working.has(userId)) overlaps++;
            working.add(userId);
            worked++;
            const outcome = await engine.store.eraseUser(userId, ...given);
            working.delete(userId);
            return outcome;
          },
        },
      });
    }
    for (const erasure of erasures) await expect.poll(() => statusOf(erasure), PATIENCE).toBe("DONE");
    expect(overlaps).toBe(0);
    expect(worked).toBe(erasures.length);
  });

  test("fails for good where the store refuses, and the next one has its turn", async () => {
    const refused = await requested();
    const next = await requested();
    run({
      store: {
        eraseUser(userId, ...given) {
          if (userId === refused.userId) return Promise.reject(new StoreRefusedError("never"));
          return engine.store.eraseUser(userId, ...given);
        },
      },
    });
    await expect.poll(() => statusOf(next), PATIENCE).toBe("DONE");
    expect(await engine.store.findErasure(refused.id)).toMatchObject({
      status: "FAILED",
      finishedAtMs: expect.any(Number),
    });
    expect(await engine.store.unfinishedErasures()).toEqual([]);
  });
});

test("processes that found each other claiming ask again at different times, within a lease", () => {
  const holders = Array.from({ length: 50 }, (_, index) => `worker-${index}`);
  const delaysMs = holders.map((holder) => claimDelayMs(holder, 30_000));
  expect(new Set(delaysMs).size).toBe(holders.length);
  expect(Math.min(...delaysMs)).toBeGreaterThanOrEqual(5_000);
  expect(Math.max(...delaysMs)).toBeLessThanOrEqual(15_000);
  expect(Math.max(...delaysMs) - Math.min(...delaysMs)).toBeGreaterThan(5_000);
});
