import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, describe, expect, it, vi } from "vitest";
import { DAY_MS } from "../../../src/domain/time.ts";
import { StoreRefusedError } from "../../../src/ports/errors.ts";
import { createRandom } from "../../kit/random.ts";
import { EVERYTHING, recordViews, viewOf, walkAll } from "../../kit/views.ts";
import { createOracle } from "../../support/oracle.ts";
import { dropTestKeyspaces, newKeyspace, RETENTION_DAYS } from "../../support/scylla.ts";

afterAll(dropTestKeyspaces);

describe("a long history", () => {
  const POSTS = 5_000;
  const VIEWS = 20_000;
  const MEMORY_GROWTH_MAX_BYTES = 32 * 1_024 * 1_024;

  it("of 20,000 views of 5,000 posts in 80 days gives each post once, in bounded memory", async () => {
    const keyspace = await newKeyspace();
    const { store } = await keyspace.open();
    const random = createRandom(7);
    const nowMs = Date.now();
    const views = Array.from({ length: VIEWS }, (_, index) =>
      viewOf({
        userId: "u",
        // The first 5,000 see to it that every post is there.
        postId: `post-${index < POSTS ? index : random.integer(0, POSTS - 1)}`,
        viewedAtMs: nowMs - random.integer(0, 80 * DAY_MS),
        position: index % 10,
      }),
    );
    const oracle = createOracle();
    for (const view of views) oracle.add(view);
    for (let first = 0; first < VIEWS; first += 1_000) {
      await Promise.all(
        Array.from({ length: 10 }, (_, call) =>
          store.writeHistory("u", views.slice(first + call * 100, first + call * 100 + 100)),
        ),
      );
    }
    const expected = oracle.seenPosts("u", EVERYTHING);
    expect(expected).toHaveLength(POSTS);

    setFlagsFromString("--expose-gc");
    const collectGarbage = runInNewContext("gc") as () => void;
    for (const limit of [50, 500]) {
      let leastBytes = Number.POSITIVE_INFINITY;
      let mostBytes = 0;
      const rows = await walkAll(
        (request) => store.seenPosts(request),
        { ownerId: "u", window: EVERYTHING, limit },
        async () => {
          collectGarbage();
          const { heapUsed } = process.memoryUsage();
          leastBytes = Math.min(leastBytes, heapUsed);
          mostBytes = Math.max(mostBytes, heapUsed);
        },
      );
      expect(rows).toEqual(expected);
      expect(mostBytes - leastBytes).toBeLessThan(MEMORY_GROWTH_MAX_BYTES);
    }
  });
});

describe("the time to live", () => {
  it("is what is left of the retention, with the view's receivedAt as write time", async () => {
    const keyspace = await newKeyspace();
    for (const [retentionDays, ageDays] of [
      [90, 10],
      [30, 29],
      [365, 0],
    ] as const) {
      const { store } = await keyspace.open({ retentionDays });
      const viewedAtMs = Date.now() - ageDays * DAY_MS;
      const userId = `u-${retentionDays}`;
      const receivedAtUs = viewedAtMs * 1_000 + 123_456;
      await recordViews(store, [viewOf({ userId, postId: "p", viewedAtMs, receivedAtUs })]);
      const { rows } = await keyspace.client.execute(
        "SELECT TTL(pack) AS ttl, WRITETIME(pack) AS written FROM user_packs WHERE user_id = ?",
        [userId],
      );
      const left = (retentionDays - ageDays) * 86_400;
      expect(Number(rows[0]?.get("ttl"))).toBeGreaterThan(left - 60);
      expect(Number(rows[0]?.get("ttl"))).toBeLessThanOrEqual(left + 1);
      expect(Number(rows[0]?.get("written"))).toBe(receivedAtUs);
    }
  });

  it("takes a row out of every table, and not before the retention ends", async () => {
    const keyspace = await newKeyspace();
    const { store } = await keyspace.open();
    const viewedAtMs = Date.now() - RETENTION_DAYS * DAY_MS + 4_000;
    await recordViews(store, [viewOf({ userId: "u", postId: "p", viewedAtMs })]);
    const tables = ["user_packs", "viewers_by_post"];
    const rowsLeft = async () => {
      const counts = await Promise.all(
        tables.map((table) => keyspace.client.execute(`SELECT count(*) AS n FROM ${table}`)),
      );
      return counts.map(({ rows }) => Number(rows[0]?.get("n")));
    };
    expect(await rowsLeft()).toEqual([1, 1]);
    await vi.waitFor(async () => expect(await rowsLeft()).toEqual([0, 0]), {
      timeout: 60_000,
      interval: 100,
    });
    // The database counts in whole seconds.
    expect(Date.now()).toBeGreaterThan(viewedAtMs + RETENTION_DAYS * DAY_MS - 1_000);
    // The marker outlives its rows.
    const { rows } = await keyspace.client.execute("SELECT slice_start FROM viewer_slices");
    expect(rows).toHaveLength(1);
  });
});

describe("a retention that was made shorter", () => {
  it("hides at once what was written to live longer", async () => {
    const keyspace = await newKeyspace();
    const longer = await keyspace.open({ retentionDays: 90 });
    const old = viewOf({ userId: "u", postId: "old", viewedAtMs: Date.now() - 40 * DAY_MS });
    const young = viewOf({ userId: "u", postId: "young", viewedAtMs: Date.now() - 20 * DAY_MS });
    await recordViews(longer.store, [old, young]);
    const { store } = await keyspace.open({ retentionDays: 30 });
    const request = { window: EVERYTHING, after: null, limit: 10 };
    expect((await store.seenPosts({ ...request, ownerId: "u" })).rows.map(({ postId }) => postId)).toEqual([
      "young",
    ]);
    expect((await store.postViewers({ ...request, ownerId: "old" })).rows).toEqual([]);
    expect(await store.seenAmong("u", ["old", "young"], { minViews: 1, minDwellMs: 0, sinceMs: 0 })).toEqual(
      new Set(["young"]),
    );
    expect((await store.scan(null, 10)).views).toEqual([young]);
  });
});

describe("the columns of a row", () => {
  it("costs no tombstone where it says nothing", async () => {
    const keyspace = await newKeyspace();
    const { store } = await keyspace.open();
    const startMs = Date.now() - 10 * DAY_MS;
    // Cassandra warns of a read that meets 1,000 tombstones; each row says none of three things.
    const views = Array.from({ length: 1_000 }, (_, index) =>
      viewOf({ userId: "u", postId: `p${index % 50}`, viewedAtMs: startMs + index }),
    );
    await recordViews(store, views);
    const { info, rowLength } = await keyspace.client.execute(
      "SELECT newest_at, pack FROM user_packs WHERE user_id = 'u'",
    );
    expect(rowLength).toBe(1_000);
    expect(info.warnings ?? []).toEqual([]);
  });
});

describe("a row that the database cannot hold", () => {
  const viewedAtMs = Date.now() - DAY_MS;
  const bad = {
    "an id that is too long": viewOf({ userId: "u".repeat(70_000), postId: "p", viewedAtMs }),
    "an empty id": viewOf({ userId: "", postId: "p", viewedAtMs }),
    "half of a surrogate pair": viewOf({ userId: "u\ud800", postId: "p", viewedAtMs }),
  };

  it.each(Object.entries(bad))("is refused for %s", async (_what, view) => {
    const keyspace = await newKeyspace();
    const { store } = await keyspace.open();
    await expect(store.writeHistory(view.userId, [view])).rejects.toThrow(StoreRefusedError);
    await expect(store.writeViewers("p", [view])).rejects.toThrow(StoreRefusedError);
    await expect(store.writeViewers(view.userId, [{ ...view, userId: "u" }])).rejects.toThrow(
      StoreRefusedError,
    );
  });
});
