import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { encodeSubmission, joinSubmissions } from "../../src/domain/queue-message.ts";
import { DAY_MS, systemClock } from "../../src/domain/time.ts";
import { openEmbeddedEngine } from "../../src/embedded/open.ts";
import { createInMemoryWorkerRegistry } from "../../src/embedded/worker-registry.ts";
import type { DeadLetters } from "../../src/ports/dead-letters.ts";
import { DeadLettersFullError, StoreRefusedError, StoreUnavailableError } from "../../src/ports/errors.ts";
import type { ImpressionQueue } from "../../src/ports/impression-queue.ts";
import type { ImpressionStore } from "../../src/ports/impression-store.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { startWorkers } from "../../src/workers/worker-pool.ts";
import { createTemporaryDirectory } from "../kit/directory.ts";

const RETENTION_MS = 90 * DAY_MS;
const LOOPS = 2;
const MESSAGES_PER_PULL = 20;
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
});

/**
 * A real engine whose store and dead letters fail where the test says so, with the workers running on it.
 *
 * @param options.queued users whose views, of these posts each, are in the queue before the workers start.
 */
async function workersOnFaultyEngine(
  options: {
    readonly concurrencyMax?: number;
    readonly queued?: ReadonlyMap<string, readonly string[]>;
  } = {},
) {
  const directory = createTemporaryDirectory();
  closers.push(async () => directory.remove());
  const engine = await openEmbeddedEngine({
    dataDir: directory.path,
    queueMaxBytes: 64 * 1024 * 1024,
    deadLetterMaxBytes: 1024 * 1024,
    deadLetterDays: 30,
    retentionMs: RETENTION_MS,
    clock: systemClock,
  });
  closers.push(() => engine.close());
  const faults = {
    /** The whole store is down. */
    storeDown: false,
    refusedPost: null as string | null,
    /** The partition of this post's viewers takes no writes. */
    unavailableViewersOf: null as string | null,
    deadLettersFull: false,
    writes: 0,
    /** Every write waits for it. */
    held: null as Promise<void> | null,
    /** The users of each write, in the order of their beginning. */
    began: [] as { readonly table: "viewers" | "history"; readonly userIds: readonly string[] }[],
    /** Of each write of viewers, in the same order: which post's, and whether it was to go apart from others. */
    wentApart: [] as { readonly postId: string; readonly uncoalesced: boolean | undefined }[],
  };
  const check = (postIds: readonly string[]) => {
    faults.writes++;
    if (faults.storeDown) throw new StoreUnavailableError("down");
    if (faults.refusedPost !== null && postIds.includes(faults.refusedPost))
      throw new StoreRefusedError("row refused");
  };
  const store: ImpressionStore = {
    ...engine.store,
    async writeViewers(postId, views, writeOptions) {
      faults.wentApart.push({ postId, uncoalesced: writeOptions?.uncoalesced });
      faults.began.push({ table: "viewers", userIds: views.map(({ userId }) => userId) });
      await faults.held;
      check([postId]);
      if (postId === faults.unavailableViewersOf) throw new StoreUnavailableError("this partition is down");
      return engine.store.writeViewers(postId, views, writeOptions);
    },
    async writeHistory(userId, views) {
      faults.began.push({ table: "history", userIds: [userId] });
      await faults.held;
      check(views.map(({ postId }) => postId));
      return engine.store.writeHistory(userId, views);
    },
    health: async () => (faults.storeDown ? { healthy: false, reason: "down" } : engine.store.health()),
  };
  const deadLetters: DeadLetters = {
    ...engine.queue.deadLetters,
    async add(letters) {
      if (faults.deadLettersFull) throw new DeadLettersFullError("full");
      return engine.queue.deadLetters.add(letters);
    },
  };
  const queue: ImpressionQueue = { ...engine.queue, deadLetters };
  for (const [userId, postIds] of options.queued ?? []) await send(userId, postIds);
  const registry = createInMemoryWorkerRegistry(systemClock);
  const workers = startWorkers({
    queue,
    store,
    registry,
    clock: systemClock,
    monotonicMs: () => performance.now(),
    random: Math.random,
    processId: "test",
    instanceId: randomUUID(),
    loops: LOOPS,
    messagesPerPull: MESSAGES_PER_PULL,
    concurrencyMax: options.concurrencyMax ?? 64,
    retentionMs: RETENTION_MS,
    writeTimeoutMs: 60_000,
    drainTimeoutMs: 10_000,
    logger: createLogger("silent"),
  });
  closers.push(() => workers.stop());

  const seen = (userId: string, postIds: readonly string[]) =>
    engine.store
      .seenAmong(userId, postIds, { minViews: 1, minDwellMs: 0, sinceMs: 0 })
      .then((found) => postIds.filter((postId) => found.has(postId)));
  return { engine, faults, workers, registry, seen, send };

  function send(userId: string, postIds: readonly string[]): Promise<void> {
    return engine.queue.publish({
      id: randomUUID(),
      body: joinSubmissions([
        encodeSubmission({
          userId,
          receivedAtUs: Date.now() * 1_000,
          impressions: postIds.map((postId) => ({
            postId,
            viewedAtMs: Date.now(),
            surface: null,
            position: null,
            dwellMs: null,
          })),
        }),
      ]),
    });
  }
}

describe("workers on a store that fails", () => {
  test("an outage opens the breaker, dead-letters nothing, and everything is stored afterwards", async () => {
    const { engine, faults, workers, seen, send } = await workersOnFaultyEngine();
    faults.storeDown = true;
    const users = Array.from({ length: 30 }, (_, index) => `u${index}`);
    for (const user of users) await send(user, ["p1", "p2"]);
    await expect.poll(() => workers.paused(), { timeout: 60_000 }).toBe(true);
    expect((await engine.queue.stats()).pending).toBe(users.length);
    expect(await engine.queue.deadLetters.count()).toBe(0);

    faults.storeDown = false;
    await expect.poll(async () => (await engine.queue.stats()).pending, { timeout: 60_000 }).toBe(0);
    for (const user of users) expect(await seen(user, ["p1", "p2"])).toEqual(["p1", "p2"]);
    expect(await engine.queue.deadLetters.count()).toBe(0);
    expect(workers.paused()).toBe(false);
  });

  test("a row that the store refuses is dead-lettered alone", async () => {
    const { engine, faults, seen, send } = await workersOnFaultyEngine();
    faults.refusedPost = "poison";
    await send("u", ["before", "poison", "after"]);
    await send("v", ["poison", "other"]);
    await expect.poll(async () => (await engine.queue.stats()).pending, { timeout: 60_000 }).toBe(0);
    expect(await seen("u", ["before", "poison", "after"])).toEqual(["before", "after"]);
    expect(await seen("v", ["poison", "other"])).toEqual(["other"]);
    const { deadLetters: letters } = await engine.queue.deadLetters.page({
      filter: {},
      before: null,
      limit: 10,
    });
    expect(letters.map(({ reason, userId }) => [reason, userId]).sort()).toEqual([
      ["REJECTED_BY_STORE", "u"],
      ["REJECTED_BY_STORE", "v"],
    ]);
    expect(letters[0]?.payload).toMatchObject({ impression: { postId: "poison" } });
  });

  test("a view is committed only after its viewers row; its neighbours don't wait for it", async () => {
    const { engine, faults, workers, seen, send } = await workersOnFaultyEngine();
    faults.unavailableViewersOf = "stuck";
    await send("u", ["stuck", "fine"]);
    await send("v", ["other"]);
    await expect.poll(() => seen("u", ["stuck", "fine"]), { timeout: 60_000 }).toEqual(["fine"]);
    // Not only once the stuck one was given up.
    expect(workers.counts().nacked).toBe(0);
    await expect.poll(() => seen("v", ["other"]), { timeout: 60_000 }).toEqual(["other"]);
    expect((await engine.queue.stats()).pending).toBe(1);

    faults.unavailableViewersOf = null;
    await expect.poll(async () => (await engine.queue.stats()).pending, { timeout: 60_000 }).toBe(0);
    expect(await seen("u", ["stuck", "fine"])).toEqual(["stuck", "fine"]);
    // An unhealthy partition affects no other one, from its first failure on.
    const ofStuck = faults.wentApart
      .filter(({ postId }) => postId === "stuck")
      .map(({ uncoalesced }) => uncoalesced);
    expect(ofStuck.length).toBeGreaterThan(1);
    expect(ofStuck).toEqual([false, ...ofStuck.slice(1).map(() => true)]);
    const ofOthers = faults.wentApart
      .filter(({ postId }) => postId !== "stuck")
      .map(({ uncoalesced }) => uncoalesced);
    expect(ofOthers).toEqual([false, false]);
  });

  test("while the dead letters are full, poison stays in the queue and the healthy flow goes on", async () => {
    const { engine, faults, workers, seen, send } = await workersOnFaultyEngine();
    faults.deadLettersFull = true;
    await send("bad", ["null", "good neighbour"]);
    await send("fine", ["p"]);
    await expect.poll(() => seen("fine", ["p"]), { timeout: 60_000 }).toEqual(["p"]);
    await expect.poll(() => seen("bad", ["good neighbour"]), { timeout: 60_000 }).toEqual(["good neighbour"]);
    expect((await engine.queue.stats()).pending).toBe(1);

    faults.deadLettersFull = false;
    await expect.poll(async () => (await engine.queue.stats()).pending, { timeout: 60_000 }).toBe(0);
    expect(await engine.queue.deadLetters.count()).toBe(1);
    // The good neighbour was written at each try, and counts once.
    await expect.poll(() => workers.counts().stored, { timeout: 60_000 }).toBe(2);
    const { acknowledged, nacked, deadLettersFailed, deadLettered } = workers.counts();
    expect({ acknowledged, letters: deadLettered.INVALID_POST_ID }).toEqual({ acknowledged: 2, letters: 1 });
    expect(nacked).toBeGreaterThan(0);
    expect(deadLettersFailed).toBe(nacked);
  });

  test("stopping finishes what is in flight: nothing that was stored is delivered again", async () => {
    const { engine, workers, seen, send } = await workersOnFaultyEngine();
    const users = Array.from({ length: 50 }, (_, index) => `u${index}`);
    for (const user of users) await send(user, ["p"]);
    await workers.stop();
    const stored = [];
    for (const user of users) if ((await seen(user, ["p"])).length > 0) stored.push(user);
    expect((await engine.queue.stats()).pending).toBe(users.length - stored.length);
    expect((await engine.queue.stats()).inFlight).toBe(0);
  });
});

describe("workers on a store that is slow", () => {
  test("end what they have begun before they begin more, each user's views in one write", async () => {
    const users = Array.from({ length: 50 }, (_, index) => `u${index}`);
    const queued = new Map(users.map((user) => [user, ["a", "b", "c"].map((post) => `${post} of ${user}`)]));
    const { engine, faults, workers } = await workersOnFaultyEngine({ concurrencyMax: 1, queued });
    // Longer than it takes the workers to go on without what is in trouble; this only waits its turn.
    faults.held = sleep(1_500);
    await expect.poll(async () => (await engine.queue.stats()).pending, { timeout: 60_000 }).toBe(0);
    await workers.stop();

    const begun = new Set<string>();
    const ended: string[] = [];
    for (const { table, userIds } of faults.began) {
      if (table === "history") ended.push(...userIds);
      else for (const userId of userIds) begun.add(userId);
      expect(begun.size - ended.length).toBeLessThanOrEqual(2);
    }
    expect(ended).toEqual(users);
  });

  test("take no more in flight than they can write", async () => {
    const users = Array.from({ length: 3 * MESSAGES_PER_PULL }, (_, index) => `u${index}`);
    const queued = new Map(users.map((user) => [user, [`of ${user}`]]));
    const { engine, faults, workers } = await workersOnFaultyEngine({ concurrencyMax: 1, queued });
    // Longer than a loop waits for what it pulled.
    faults.held = sleep(2_500);
    await faults.held;
    expect(workers.state().messagesInFlight).toBe(LOOPS * MESSAGES_PER_PULL);
    await expect.poll(async () => (await engine.queue.stats()).pending, { timeout: 60_000 }).toBe(0);
  });
});
