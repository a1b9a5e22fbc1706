import { afterAll, describe, expect, it, vi } from "vitest";
import type { Erasure } from "../../../src/domain/erasure.ts";
import { DAY_MS, MINUTE_MS, systemClock } from "../../../src/domain/time.ts";
import { SLICE_LENGTHS_SECONDS, shardOf } from "../../../src/scylla/slices.ts";
import { EVERYTHING, recordHalf, recordViews, viewOf } from "../../kit/views.ts";
import { dropTestKeyspaces, newKeyspace, type TestKeyspace } from "../../support/scylla.ts";

afterAll(dropTestKeyspaces);

/** The user's rows in every table that holds views, as the database has them. */
async function rowsOf({ client }: TestKeyspace, userId: string): Promise<Record<string, number>> {
  const counts = await Promise.all(
    ["user_packs", "viewers_by_post"].map(async (table) => {
      const { rows } = await client.execute(`SELECT user_id FROM ${table}`);
      return [table, rows.filter((row) => row.get("user_id") === userId).length] as const;
    }),
  );
  return Object.fromEntries(counts);
}

const NOTHING = { user_packs: 0, viewers_by_post: 0 };
const startMs = Math.floor(Date.now() / DAY_MS) * DAY_MS - 5 * DAY_MS;
const throughUs = (startMs + DAY_MS) * 1_000;

describe("an erasure", () => {
  it("takes the user's rows out of every slice, whichever process put them where", async () => {
    const keyspace = await newKeyspace();
    // Not in the first shard of a slice of a minute.
    expect(shardOf(60, "user-2")).toBe(1);
    const views = ["user-2", "v"].flatMap((userId) =>
      Array.from({ length: 60 }, (_, index) =>
        viewOf({ userId, postId: `p${index % 3}`, viewedAtMs: startMs + index * 1_000 }),
      ),
    );
    // The same views through processes that have come to different lengths: each row stands in several slices.
    for (const sliceRowsMax of [1_000, 3, 0]) {
      const { store } = await keyspace.open({ sliceRowsMax });
      await recordViews(store, views);
    }
    const lengths = await keyspace.client.execute("SELECT slice_seconds, user_id FROM viewers_by_post");
    expect(new Set(lengths.rows.map((row) => Number(row.get("slice_seconds"))))).toEqual(
      new Set(SLICE_LENGTHS_SECONDS),
    );
    const others = await rowsOf(keyspace, "v");
    expect(others.viewers_by_post).toBeGreaterThan(60);

    const { store } = await keyspace.open();
    expect(await store.eraseUser("user-2", throughUs)).toEqual({ rowsDeleted: 60 });
    expect(await rowsOf(keyspace, "user-2")).toEqual(NOTHING);
    expect(await rowsOf(keyspace, "v")).toEqual(others);
  });

  it("lets no row in that was received before, in any table and by any process", async () => {
    const keyspace = await newKeyspace();
    const eraser = await keyspace.open();
    const other = await keyspace.open({ erasuresRefreshMs: 20 });
    const late = (index: number) =>
      viewOf({ userId: "u", postId: `p${index}`, viewedAtMs: startMs, receivedAtUs: throughUs });
    // The other process has looked at who was erased, before anyone was.
    await recordViews(other.store, [viewOf({ userId: "v", postId: "p", viewedAtMs: startMs })]);
    await eraser.store.eraseUser("u", throughUs);

    await recordViews(eraser.store, [late(0)]);
    expect(await rowsOf(keyspace, "u")).toEqual(NOTHING);
    const started = await keyspace.open();
    await recordViews(started.store, [late(1)]);
    expect(await rowsOf(keyspace, "u")).toEqual(NOTHING);
    // No tombstone covers the viewers row of a view that the erasure never saw: this is the markers' doing.
    let next = 2;
    await vi.waitFor(
      async () => {
        const earlier = (await rowsOf(keyspace, "u")).viewers_by_post;
        await recordHalf(other.store, [late(next++)]);
        expect((await rowsOf(keyspace, "u")).viewers_by_post).toBe(earlier);
      },
      { timeout: 30_000, interval: 20 },
    );
    const after = { ...late(0), receivedAtUs: throughUs + 1 };
    for (const { store } of [eraser, other, started]) await recordViews(store, [after]);
    expect(await rowsOf(keyspace, "u")).toMatchObject({ user_packs: 1 });
  });

  it("leaves views that are received while a long history is erased", async () => {
    const keyspace = await newKeyspace();
    const time = { aheadMs: 0 };
    const clock = { ...systemClock, nowMs: () => Date.now() + time.aheadMs };
    const { store } = await keyspace.open({ clock });
    const nowMs = Date.now();
    const of = (postId: string, receivedMs: number) =>
      viewOf({ userId: "u", postId, viewedAtMs: startMs, receivedAtUs: receivedMs * 1_000 });
    await recordViews(store, [of("before", nowMs - MINUTE_MS), of("dated ahead", nowMs + DAY_MS)]);
    const fresh = of("fresh", nowMs + MINUTE_MS);
    const erased = await store.eraseUser("u", nowMs * 1_000, async () => {
      time.aheadMs = MINUTE_MS;
      await recordViews(store, [fresh]);
    });
    expect(erased).toEqual({ rowsDeleted: 2 });
    expect(await rowsOf(keyspace, "u")).toEqual({
      user_packs: 1,
      viewers_by_post: 1,
    });
    const request = { ownerId: "u", window: EVERYTHING, after: null, limit: 10 };
    expect((await store.seenPosts(request)).rows.map(({ postId }) => postId)).toEqual(["fresh"]);
  });

  it("goes on where a crash left it, for its traces go last", async () => {
    const keyspace = await newKeyspace();
    const { store } = await keyspace.open();
    const views = Array.from({ length: 40 }, (_, index) =>
      viewOf({ userId: "u", postId: `p${index}`, viewedAtMs: startMs + index }),
    );
    await recordViews(store, views);
    // Some viewers rows are gone already, and nothing else.
    for (const { postId } of views.slice(0, 20)) {
      const start = new Date(Math.floor(startMs / (30 * DAY_MS)) * 30 * DAY_MS);
      await keyspace.client.execute(
        "DELETE FROM viewers_by_post USING TIMESTAMP ? WHERE post_id = ? AND slice_seconds = 2592000 AND slice_start = ? AND shard = 0",
        [BigInt(throughUs), postId, start],
      );
    }
    expect(await rowsOf(keyspace, "u")).toMatchObject({ user_packs: 40, viewers_by_post: 20 });
    expect(await store.eraseUser("u", throughUs)).toEqual({ rowsDeleted: 40 });
    expect(await rowsOf(keyspace, "u")).toEqual(NOTHING);
  });
});

describe("the record of an erased user", () => {
  const contentOf = async ({ client }: TestKeyspace) => {
    const { rows: tables } = await client.execute(
      "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?",
      [client.keyspace],
    );
    const contents = await Promise.all(
      tables.map((table) => client.execute(`SELECT JSON * FROM ${table.get("table_name")}`)),
    );
    return JSON.stringify(contents.map(({ rows }) => rows));
  };

  it("is a hash, the same to every process, also where several make the key at once", async () => {
    const keyspace = await newKeyspace();
    const stores = await Promise.all(Array.from({ length: 4 }, async () => (await keyspace.open()).store));
    const users = stores.map((_, index) => `erased-user-${index}`);
    await Promise.all(
      stores.map(async (store, index) => {
        const userId = users[index] ?? "";
        await recordViews(store, [viewOf({ userId, postId: "p", viewedAtMs: startMs })]);
        const erasure = {
          id: `e${index}`,
          userId,
          requestedAtUs: throughUs,
          rowsDeleted: 0,
          finishedAtMs: null,
        };
        await store.saveErasure({ ...erasure, status: "DELETING" });
        await store.eraseUser(userId, throughUs);
        await store.saveErasure({ ...erasure, status: "DONE" });
      }),
    );
    expect(await contentOf(keyspace)).not.toContain("erased-user");
    const { store } = await keyspace.open();
    expect(await store.erasedThrough(users)).toEqual(new Map(users.map((userId) => [userId, throughUs])));
  });

  it("is read as a release before has recorded it", async () => {
    const keyspace = await newKeyspace();
    const nowMs = Date.now();
    await keyspace.client.execute(
      "INSERT INTO erasures (recorded_day, recorded_at, user_id, through_received_at_us) VALUES (?, ?, 'u', ?)",
      [new Date(Math.floor(nowMs / DAY_MS) * DAY_MS), new Date(nowMs), BigInt(throughUs)],
      { prepare: true },
    );
    const { store } = await keyspace.open();
    expect(await store.erasedThrough(["u", "v"])).toEqual(new Map([["u", throughUs]]));
  });
});

describe("a receipt", () => {
  it("moves on whatever the clocks of the hosts say, and never back", async () => {
    const keyspace = await newKeyspace();
    const { store } = await keyspace.open();
    const receipt: Erasure = {
      id: "e",
      userId: "u",
      requestedAtUs: throughUs,
      status: "WAITING_FOR_QUEUE",
      rowsDeleted: 0,
      finishedAtMs: null,
    };
    const done: Erasure = { ...receipt, status: "DONE", rowsDeleted: 5, finishedAtMs: startMs };
    await store.saveErasure(receipt);
    await store.saveErasure({ ...receipt, status: "DELETING" });
    await store.saveErasure(done);
    // Another runner that was at it as well, and is behind.
    await store.saveErasure({ ...receipt, status: "DELETING" });
    expect(await store.findErasure("e")).toEqual({ ...done, userId: expect.stringMatching(/^hash:/) });
    expect(await store.unfinishedErasures()).toEqual([]);
  });
});
