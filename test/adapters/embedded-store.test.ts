import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { CLOCK_SETTLE_MS } from "../../src/domain/guarded-clock.ts";
import { RETENTION_MS_MAX } from "../../src/domain/limits.ts";
import { DAY_MS, systemClock } from "../../src/domain/time.ts";
import type { PostViewerRow, SeenPostRow, WalkRequest } from "../../src/domain/walk.ts";
import { READ_TURN_MS_MAX } from "../../src/embedded/read-turns.ts";
import { StoreRefusedError, StoreUnavailableError } from "../../src/ports/errors.ts";
import { scanAll } from "../contract/store/fixture.ts";
import { storeContract } from "../contract/store/index.ts";
import { openTemporaryEngine } from "../kit/embedded.ts";
import { EVERYTHING, recordViews, viewOf, walkAll } from "../kit/views.ts";
import { EMBEDDED_STORE } from "../support/embedded-store.ts";

storeContract(EMBEDDED_STORE);

describe("embedded store", () => {
  const NOW_MS = 1_790_000_000_000;
  const RETENTION_MS = 30 * DAY_MS;

  /** A store whose clock the test sets. */
  async function openAt() {
    const clock = {
      nowMs: () => time.nowMs + time.jumpMs,
      monotonicMs: () => systemClock.monotonicMs() + time.nowMs - NOW_MS,
    };
    const time = { nowMs: NOW_MS, jumpMs: 0 };
    const engine = await openTemporaryEngine({ retentionMs: RETENTION_MS, clock });
    onTestFinished(() => engine.dispose());
    return { store: engine.current().store, time, storeFile: join(engine.dataDir, "store.sqlite") };
  }

  function rowsOnDisk(storeFile: string, table: string): number {
    const database = new DatabaseSync(storeFile, { readOnly: true });
    const rows = Number(database.prepare(`SELECT count(*) AS rows FROM ${table}`).get()?.rows);
    database.close();
    return rows;
  }

  /** More views than are written by calls of the store in a test's time: a millisecond apart, the newest one now. */
  function addViews(storeFile: string, history: { userId: string; posts: number; views: number }): void {
    const { userId, posts, views } = history;
    const database = new DatabaseSync(storeFile);
    database
      .prepare(`
        INSERT INTO views (user_id, post_id, viewed_at_ms, received_at_us)
        SELECT :userId, 'p' || CAST(value % :posts AS INTEGER), :nowMs - value, (:nowMs - value) * 1000
        FROM (WITH RECURSIVE up(value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM up LIMIT :views) SELECT value FROM up)`)
      .run({ userId, posts, nowMs: NOW_MS, views });
    database.close();
  }

  it("hides a view from the instant at which its retention ends, and sweeps it from the disk", async () => {
    const { store, time, storeFile } = await openAt();
    const views = Array.from({ length: 1_500 }, (_, index) =>
      viewOf({ userId: `u${index % 40}`, postId: "p", viewedAtMs: NOW_MS - index }),
    );
    const last = viewOf({ userId: "u0", postId: "last", viewedAtMs: NOW_MS + 1 });
    await recordViews(store, [...views, last]);
    const request = { window: EVERYTHING, after: null, limit: 500 };

    time.nowMs = NOW_MS + RETENTION_MS - 1;
    expect((await store.postViewers({ ...request, ownerId: "p" })).rows).toHaveLength(1);
    expect(await scanAll(store)).toHaveLength(2);
    time.nowMs = NOW_MS + RETENTION_MS;
    expect((await store.postViewers({ ...request, ownerId: "p" })).rows).toEqual([]);
    expect((await store.seenPosts({ ...request, ownerId: "u0" })).rows).toMatchObject([{ postId: "last" }]);
    expect(await store.seenAmong("u0", ["p", "last"], { minViews: 1, minDwellMs: 0, sinceMs: 0 })).toEqual(
      new Set(["last"]),
    );
    expect(await scanAll(store)).toEqual([last]);

    const { rowsDeleted } = await store.sweep();
    expect(rowsDeleted).toBeLessThanOrEqual(1_500);
    expect(rowsOnDisk(storeFile, "views")).toBe(1);
    expect(await store.sweep()).toEqual({ rowsDeleted: 0 });
  });

  it("sweeps nothing by a clock that jumps ahead, until that has gone evenly for an hour", async () => {
    const { store, time, storeFile } = await openAt();
    await recordViews(store, [viewOf({ userId: "u", postId: "p", viewedAtMs: NOW_MS })]);
    time.jumpMs = 2 * RETENTION_MS;
    expect(await store.sweep()).toEqual({ rowsDeleted: 0 });
    time.nowMs += CLOCK_SETTLE_MS / 2;
    expect(await store.sweep()).toEqual({ rowsDeleted: 0 });
    expect(rowsOnDisk(storeFile, "views")).toBe(1);
    time.nowMs += CLOCK_SETTLE_MS / 2;
    expect(await store.sweep()).toEqual({ rowsDeleted: 1 });
  });

  it("sweeps by itself, and forgets an erased user when no retention reaches back to the erasure", async () => {
    const { store, time, storeFile } = await openAt();
    await recordViews(store, [viewOf({ userId: "u", postId: "p", viewedAtMs: NOW_MS })]);
    await store.eraseUser("erased", NOW_MS * 1_000);
    time.nowMs = NOW_MS + RETENTION_MS + 10 * 60_000;
    await vi.waitFor(() => expect(rowsOnDisk(storeFile, "views")).toBe(0), {
      timeout: 60_000,
      interval: 100,
    });
    expect(rowsOnDisk(storeFile, "erased_user_hashes")).toBe(1);
    time.nowMs = NOW_MS + RETENTION_MS_MAX + 10 * 60_000;
    await vi.waitFor(
      () => {
        expect(rowsOnDisk(storeFile, "erased_user_hashes")).toBe(0);
      },
      { timeout: 60_000, interval: 100 },
    );
  });

  it("ends a walk with the page that holds its last row", async () => {
    const { store } = await openAt();
    await recordViews(
      store,
      Array.from({ length: 12 }, (_, index) =>
        // Behind the newest views lie older ones of the same posts, which are not emitted again.
        viewOf({ userId: `u${index % 4}`, postId: `p${index % 4}`, viewedAtMs: NOW_MS - index }),
      ),
    );
    await recordViews(
      store,
      Array.from({ length: 12 }, (_, index) =>
        viewOf({ userId: "u", postId: `p${index % 4}`, viewedAtMs: NOW_MS - index }),
      ),
    );
    const page = await store.seenPosts({ ownerId: "u", window: EVERYTHING, after: null, limit: 4 });
    expect(page.rows).toHaveLength(4);
    expect(page.next).toBeNull();
    const short = await store.seenPosts({ ownerId: "u", window: EVERYTHING, after: null, limit: 3 });
    expect(short.next).toEqual({ viewedAtMs: NOW_MS - 2, id: "p2" });
    expect(short.boundMs).toBe(NOW_MS + 1);
  });

  it.each(["seenPosts", "postViewers"] as const)(
    "%s passes over the many views of one, fifty thousand a page, and comes to what lies behind them",
    async (walk) => {
      const { store, storeFile } = await openAt();
      const owner = walk === "seenPosts" ? "u" : "p0";
      addViews(storeFile, { userId: "u", posts: 1, views: 120_000 });
      // Among the first rows, among those passed over, in the instant of the last of these, and behind them all.
      const others = [1_001, 30_001, 30_002, 51_996, 110_001, 120_001].map((beforeMs, index) =>
        walk === "seenPosts"
          ? viewOf({ userId: "u", postId: `other ${index}`, viewedAtMs: NOW_MS - beforeMs })
          : viewOf({ userId: `other ${index}`, postId: "p0", viewedAtMs: NOW_MS - beforeMs }),
      );
      await recordViews(store, others);
      const pages: string[][] = [];
      const read = async (request: WalkRequest) => {
        const page = await store[walk](request);
        pages.push(page.rows.map((row) => ("postId" in row ? row.postId : row.userId)));
        return page;
      };
      await walkAll<SeenPostRow | PostViewerRow>(read, { ownerId: owner, window: EVERYTHING, limit: 10 });
      expect(pages).toEqual([
        [walk === "seenPosts" ? "p0" : "u", "other 0", "other 1", "other 2", "other 3"],
        [],
        ["other 4", "other 5"],
      ]);
    },
  );

  it("refuses a row that its table cannot hold, and stores those that wait beside it", async () => {
    const { store } = await openAt();
    const good = Array.from({ length: 20 }, (_, index) =>
      viewOf({ userId: `u${index}`, postId: "p", viewedAtMs: NOW_MS - index }),
    );
    const bad = viewOf({ userId: "bad", postId: "p", viewedAtMs: NOW_MS + 0.5 });
    const writes = [...good.slice(0, 10), bad, ...good.slice(10)].map((view) =>
      store.writeHistory(view.userId, [view]),
    );
    const results = await Promise.allSettled(writes);
    expect(results.filter(({ status }) => status === "rejected")).toHaveLength(1);
    await expect(writes[10]).rejects.toThrow(StoreRefusedError);
    expect(await scanAll(store)).toHaveLength(good.length);
    expect(await store.health()).toEqual({ healthy: true });
  });

  it("refuses rather than piles up what waits for the disk", async () => {
    const { store } = await openAt();
    const writes = Array.from({ length: 25_000 }, (_, index) =>
      store.writeHistory(`u${index}`, [viewOf({ userId: `u${index}`, postId: "p", viewedAtMs: NOW_MS })]),
    );
    const results = await Promise.allSettled(writes);
    const refused = results.filter((result) => result.status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.every((result) => result.reason instanceof StoreUnavailableError)).toBe(true);
    await store.writeHistory("later", [viewOf({ userId: "later", postId: "p", viewedAtMs: NOW_MS })]);
    expect((await scanAll(store, 2_000)).length).toBe(25_000 - refused.length + 1);
  });

  it("ends a page early that has counted many views", async () => {
    const { store, storeFile } = await openAt();
    addViews(storeFile, { userId: "u", posts: 50, views: 50_000 });
    const ownerId = "u";
    const first = await store.seenPosts({ ownerId, window: EVERYTHING, after: null, limit: 50 });
    expect(first.rows).toHaveLength(20);
    expect(first.next).not.toBeNull();
    const all = await walkAll(store.seenPosts, { ownerId, window: EVERYTHING, limit: 50 });
    expect(all.map(({ postId, views }) => [postId, views])).toEqual(
      Array.from({ length: 50 }, (_, index) => [`p${index}`, 1_000]),
    );
  });

  it("tells an erasure how many views there are, however many", async () => {
    const { store, storeFile } = await openAt();
    addViews(storeFile, { userId: "u", posts: 7, views: 45_000 });
    addViews(storeFile, { userId: "other", posts: 1, views: 10 });
    const counted: number[] = [];
    const { rowsDeleted } = await store.eraseUser("u", NOW_MS * 1_000, async (views) => {
      counted.push(views);
    });
    expect(counted).toEqual([45_000]);
    expect(rowsDeleted).toBe(45_000);
  });

  it("leaves views that are received while a long history is erased", async () => {
    const { store, time, storeFile } = await openAt();
    addViews(storeFile, { userId: "u", posts: 1, views: 1_200 });
    const receivedMs = NOW_MS + 60_000;
    const fresh = viewOf({ userId: "u", postId: "z", viewedAtMs: receivedMs });
    const ahead = viewOf({
      userId: "u",
      postId: "z",
      viewedAtMs: NOW_MS,
      receivedAtUs: (NOW_MS + DAY_MS) * 1_000,
    });
    await recordViews(store, [ahead]);
    await store.eraseUser("u", NOW_MS * 1_000, async () => {
      time.nowMs = receivedMs;
      await recordViews(store, [fresh]);
    });
    expect(await scanAll(store)).toEqual([fresh]);
  });

  it("lets the process go on between reads that were asked for at once", async () => {
    // Each look at the clock takes a millisecond, and a read looks before and after.
    let monotonicMs = 0;
    let readsOfTurn = 0;
    let readsOfTurnMax = 0;
    let isOver = false;
    const endTurn = () => {
      readsOfTurnMax = Math.max(readsOfTurnMax, readsOfTurn);
      readsOfTurn = 0;
      if (!isOver) setImmediate(endTurn);
    };
    const engine = await openTemporaryEngine({
      clock: { ...systemClock, monotonicMs: () => ++monotonicMs },
    });
    onTestFinished(() => engine.dispose());
    const { store, queue } = engine.current();
    const page = { window: EVERYTHING, after: null, limit: 10 };
    const rule = { minViews: 1, minDwellMs: 0, sinceMs: 0 };
    const reads: ((index: number) => Promise<unknown>)[] = [
      (index) => store.seenPosts({ ...page, ownerId: `u${index}` }),
      (index) => store.postViewers({ ...page, ownerId: `p${index}` }),
      (index) => store.seenAmong(`u${index}`, ["p"], rule),
      () => store.scan(null, 10),
      () => queue.deadLetters.page({ filter: {}, before: null, limit: 10 }),
    ];
    setImmediate(endTurn);
    await Promise.all(
      Array.from({ length: 160 }, async (_, index) => {
        await reads[index % reads.length]?.(index);
        readsOfTurn++;
      }),
    );
    isOver = true;
    endTurn();
    expect(readsOfTurnMax).toBeGreaterThan(0);
    expect(readsOfTurnMax).toBeLessThanOrEqual(READ_TURN_MS_MAX);
  });
});
