import { describe, expect, it } from "vitest";
import { VIEWS_COUNT_MAX } from "../../../src/domain/limits.ts";
import { DAY_MS } from "../../../src/domain/time.ts";
import type { PostViewerRow } from "../../../src/domain/walk.ts";
import type { ImpressionStore } from "../../../src/ports/impression-store.ts";
import { EVERYTHING, recordViews, viewOf, walkAll } from "../../kit/views.ts";
import { openStore, type StoreContract, someInstantMs } from "./fixture.ts";

export function postViewers(contract: StoreContract): void {
  const users = (rows: readonly PostViewerRow[]) => rows.map(({ userId }) => userId);
  const walkOf = (store: ImpressionStore, limit: number, window = EVERYTHING) =>
    walkAll((request) => store.postViewers(request), { ownerId: "p", window, limit });

  describe("postViewers", () => {
    it("is empty for a post without views, and knows that there is no more", async () => {
      const { store } = await openStore(contract);
      const page = await store.postViewers({ ownerId: "unseen", window: EVERYTHING, after: null, limit: 10 });
      expect(page.rows).toEqual([]);
      expect(page.next).toBeNull();
    });

    it("gives each viewer once, at the newest view, newest first, for every page size", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const views = Array.from({ length: 60 }, (_, index) =>
        viewOf({
          userId: `u${index % 3 === 0 ? 0 : index % 20}`,
          postId: "p",
          viewedAtMs: start + index * 1_000,
        }),
      );
      await recordViews(store, [
        ...views,
        viewOf({ userId: "u1", postId: "other", viewedAtMs: start + 99_000 }),
      ]);
      const expected = [...new Set(views.toReversed().map(({ userId }) => userId))];
      for (const limit of [1, 2, 3, 7, expected.length, 500]) {
        const rows = await walkOf(store, limit);
        expect(users(rows)).toEqual(expected);
        expect(rows.find(({ userId }) => userId === "u0")).toEqual({
          userId: "u0",
          lastViewedAtMs: start + 57_000,
          views: views.filter((view) => view.userId === "u0").length,
        });
      }
    });

    it("orders viewers of one millisecond by the UTF-8 bytes of their ids, greatest first", async () => {
      const { store } = await openStore(contract);
      const viewedAtMs = someInstantMs();
      const ascending = ["a", "aa", "b", "é", "\uffee", "\u{10000}"];
      await recordViews(
        store,
        ascending.map((userId) => viewOf({ userId, postId: "p", viewedAtMs })),
      );
      for (const limit of [1, 4, 500])
        expect(users(await walkOf(store, limit))).toEqual(ascending.toReversed());
    });

    it("finds viewers over the whole retention, days and months apart", async () => {
      const { store } = await openStore(contract);
      const nowMs = Date.now();
      const ages = [0, 1, 2, 7, 29, 30, 31, 45, 60, 61, 88];
      await recordViews(
        store,
        ages.map((days) => viewOf({ userId: `u${days}`, postId: "p", viewedAtMs: nowMs - days * DAY_MS })),
      );
      for (const limit of [1, 3, 100]) {
        expect(users(await walkOf(store, limit))).toEqual(ages.map((days) => `u${days}`));
      }
    });

    it("looks at the window only: from its start, up to but not at its end", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      await recordViews(store, [
        viewOf({ userId: "twice", postId: "p", viewedAtMs: start }),
        viewOf({ userId: "twice", postId: "p", viewedAtMs: start + 2_000 }),
        viewOf({ userId: "once", postId: "p", viewedAtMs: start + 1_000 }),
      ]);
      const window = (since: number, until: number) => ({ sinceMs: start + since, untilMs: start + until });
      expect(await walkOf(store, 10, window(0, 2_001))).toEqual([
        { userId: "twice", lastViewedAtMs: start + 2_000, views: 2 },
        { userId: "once", lastViewedAtMs: start + 1_000, views: 1 },
      ]);
      expect(await walkOf(store, 10, window(0, 2_000))).toEqual([
        { userId: "once", lastViewedAtMs: start + 1_000, views: 1 },
        { userId: "twice", lastViewedAtMs: start, views: 1 },
      ]);
      expect(await walkOf(store, 10, window(0, 0))).toEqual([]);
    });

    it("fixes its upper bound with the first page: a viewer who comes back does not disturb it", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      await recordViews(
        store,
        Array.from({ length: 9 }, (_, index) =>
          viewOf({ userId: `u${index}`, postId: "p", viewedAtMs: start + index * 1_000 }),
        ),
      );
      const before = await walkOf(store, 500);
      let laterMs = start + 60_000;
      const rows = await walkAll(
        (request) => store.postViewers(request),
        { ownerId: "p", window: EVERYTHING, limit: 2 },
        async ({ boundMs }) => {
          // Just above the newest view of all, on every page; a minute is the room that this leaves to an engine.
          expect(boundMs).toBeGreaterThan(start + 8_000);
          expect(boundMs).toBeLessThanOrEqual(start + 60_000);
          laterMs++;
          await recordViews(store, [
            viewOf({ userId: "u0", postId: "p", viewedAtMs: laterMs }),
            viewOf({ userId: "new", postId: "p", viewedAtMs: laterMs }),
          ]);
        },
      );
      expect(rows).toEqual(before);
    });

    it("comes to the end of a post with many views by few", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const views = Array.from({ length: 5_000 }, (_, index) =>
        viewOf({ userId: `u${index % 3}`, postId: "p", viewedAtMs: start + 1_000 + index }),
      );
      await recordViews(store, [...views, viewOf({ userId: "first", postId: "p", viewedAtMs: start })]);
      expect(users(await walkOf(store, 50))).toEqual(["u1", "u0", "u2", "first"]);
    });

    it("gives those between and behind the many views of one, each once, in order, with counts up to the limit", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const heavy = Array.from({ length: 4_500 }, (_, index) =>
        viewOf({ userId: "heavy", postId: "p", viewedAtMs: start - index * 10 }),
      );
      // Some of them twice: long before, and in the middle of the many views.
      const others = [0, 1, 2_100, 2_101, 4_400, 4_499, 4_600].map((index, user) =>
        viewOf({ userId: `u${user}`, postId: "p", viewedAtMs: start - index * 10 - 5 }),
      );
      const again = [1, 3, 6].map((user) =>
        viewOf({ userId: `u${user}`, postId: "p", viewedAtMs: start - 30_003 - user }),
      );
      await recordViews(store, [...heavy, ...others, ...again]);
      const of = (userId: string, beforeMs: number, views: number) => ({
        userId,
        lastViewedAtMs: start - beforeMs,
        views,
      });
      const expected = [
        of("heavy", 0, VIEWS_COUNT_MAX),
        of("u0", 5, 1),
        of("u1", 15, 2),
        of("u2", 21_005, 1),
        of("u3", 21_015, 2),
        of("u6", 30_009, 2),
        of("u4", 44_005, 1),
        of("u5", 44_995, 1),
      ];
      for (const limit of [1, 2, 50]) expect(await walkOf(store, limit)).toEqual(expected);
      const window = { sinceMs: start - 44_100, untilMs: start - 35_000 };
      expect(await walkOf(store, 50, window)).toEqual([of("heavy", 35_010, 910), of("u4", 44_005, 1)]);
    });

    it("gives all viewers where many of them have viewed it often", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const counts = [VIEWS_COUNT_MAX + 1, 3, 600, VIEWS_COUNT_MAX, 600, 1, 2 * VIEWS_COUNT_MAX, 2];
      await recordViews(
        store,
        counts.flatMap((count, user) =>
          Array.from({ length: count }, (_, index) =>
            viewOf({ userId: `u${user}`, postId: "p", viewedAtMs: start - index * 10 - user }),
          ),
        ),
      );
      for (const limit of [3, 50]) {
        expect(await walkOf(store, limit)).toEqual(
          counts.map((count, user) => ({
            userId: `u${user}`,
            lastViewedAtMs: start - user,
            views: Math.min(count, VIEWS_COUNT_MAX),
          })),
        );
      }
    });
  });
}
