import { describe, expect, it } from "vitest";
import { VIEWS_COUNT_MAX } from "../../../src/domain/limits.ts";
import type { SeenPostRow } from "../../../src/domain/walk.ts";
import type { ImpressionStore } from "../../../src/ports/impression-store.ts";
import { EVERYTHING, recordViews, viewOf, walkAll } from "../../kit/views.ts";
import { openStore, type StoreContract, someInstantMs, viewsOfPosts } from "./fixture.ts";

export function seenPosts(contract: StoreContract): void {
  const posts = (rows: readonly SeenPostRow[]) => rows.map(({ postId }) => postId);
  const walkOf = (store: ImpressionStore, limit: number, window = EVERYTHING) =>
    walkAll((request) => store.seenPosts(request), { ownerId: "u", window, limit });

  describe("seenPosts", () => {
    it("is empty for a user without views, and knows that there is no more", async () => {
      const { store } = await openStore(contract);
      const page = await store.seenPosts({ ownerId: "nobody", window: EVERYTHING, after: null, limit: 10 });
      expect(page.rows).toEqual([]);
      expect(page.next).toBeNull();
    });

    it("gives each post once, newest first, for every page size", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const views = Array.from({ length: 60 }, (_, index) =>
        // Every third post was seen before, and p0 again and again.
        viewOf({
          userId: "u",
          postId: `p${index % 3 === 0 ? 0 : index % 20}`,
          viewedAtMs: start + index * 1_000,
        }),
      );
      await recordViews(store, [...views, viewOf({ userId: "other", postId: "p1", viewedAtMs: start })]);
      const expected = [...new Set(views.toReversed().map(({ postId }) => postId))];
      for (const limit of [1, 2, 3, 7, expected.length - 1, expected.length, 500]) {
        expect(posts(await walkOf(store, limit))).toEqual(expected);
      }
    });

    it("orders posts of one millisecond by the UTF-8 bytes of their ids, greatest first", async () => {
      const { store } = await openStore(contract);
      const viewedAtMs = someInstantMs();
      // UTF-16 puts the last two the other way round.
      const ascending = ["", "a", "aa", "b", "é", "\uff61", "\u{1f600}"].map((end) => `p${end}`);
      await recordViews(
        store,
        ascending.map((postId) => viewOf({ userId: "u", postId, viewedAtMs })),
      );
      for (const limit of [1, 2, 500])
        expect(posts(await walkOf(store, limit))).toEqual(ascending.toReversed());
    });

    it("looks at the window only: from its start, up to but not at its end", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      await recordViews(store, [
        viewOf({ userId: "u", postId: "twice", viewedAtMs: start, position: 1 }),
        viewOf({ userId: "u", postId: "twice", viewedAtMs: start + 2_000, position: 2 }),
        viewOf({ userId: "u", postId: "once", viewedAtMs: start + 1_000 }),
      ]);
      const window = (since: number, until: number) => ({ sinceMs: start + since, untilMs: start + until });
      expect(posts(await walkOf(store, 10, window(0, 2_001)))).toEqual(["twice", "once"]);
      // Before its second view, the post is there with its first.
      expect(await walkOf(store, 10, window(0, 2_000))).toMatchObject([
        { postId: "once", views: 1 },
        { postId: "twice", views: 1, lastViewedAtMs: start, position: 1 },
      ]);
      expect(await walkOf(store, 10, window(1, 2_001))).toMatchObject([
        { postId: "twice", views: 1, lastViewedAtMs: start + 2_000, position: 2 },
        { postId: "once", views: 1 },
      ]);
      expect(posts(await walkOf(store, 10, window(0, 1)))).toEqual(["twice"]);
      expect(await walkOf(store, 10, window(0, 0))).toEqual([]);
      expect(await walkOf(store, 10, window(5_000, 1_000))).toEqual([]);
    });

    it("fixes its upper bound with the first page: what is seen later does not disturb it", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const views = Array.from({ length: 9 }, (_, index) =>
        viewOf({ userId: "u", postId: `p${index}`, viewedAtMs: start + index * 1_000 }),
      );
      await recordViews(store, views);
      const before = await walkOf(store, 500);
      let laterMs = start + 60_000;
      const rows = await walkAll(
        (request) => store.seenPosts(request),
        { ownerId: "u", window: EVERYTHING, limit: 2 },
        async ({ boundMs }) => {
          // Just above the newest view of all, on every page; a minute is the room that this leaves to an engine.
          expect(boundMs).toBeGreaterThan(start + 8_000);
          expect(boundMs).toBeLessThanOrEqual(start + 60_000);
          laterMs++;
          await recordViews(store, [
            viewOf({ userId: "u", postId: "p0", viewedAtMs: laterMs }),
            viewOf({ userId: "u", postId: "new", viewedAtMs: laterMs }),
          ]);
        },
      );
      expect(rows).toEqual(before);
    });

    it("comes to the end of a long history of few posts", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const views = Array.from({ length: 5_000 }, (_, index) =>
        viewOf({ userId: "u", postId: `p${index % 3}`, viewedAtMs: start + 1_000 + index }),
      );
      await recordViews(store, [...views, viewOf({ userId: "u", postId: "first", viewedAtMs: start })]);
      const rows = await walkOf(store, 50);
      expect(rows.map(({ postId, views: count }) => [postId, count])).toEqual([
        ["p1", VIEWS_COUNT_MAX],
        ["p0", VIEWS_COUNT_MAX],
        ["p2", VIEWS_COUNT_MAX],
        ["first", 1],
      ]);
    });

    it("counts exactly up to the limit of counts, in every window, and says the limit beyond", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const counts = [1, VIEWS_COUNT_MAX - 1, VIEWS_COUNT_MAX, VIEWS_COUNT_MAX + 1, 2 * VIEWS_COUNT_MAX];
      await recordViews(
        store,
        // One after another, the newest of all posts close together.
        viewsOfPosts(counts, (post, index) => ({
          viewedAtMs: start - index * 10 - post,
          position: index,
        })),
      );
      const rows = counts.map((count, post) => ({
        postId: `p${post}`,
        lastViewedAtMs: start - post,
        views: Math.min(count, VIEWS_COUNT_MAX),
        position: 0,
      }));
      for (const limit of [1, 3, 50]) expect(await walkOf(store, limit)).toMatchObject(rows);
      // 700 views of each post that has as many, from its 200th on.
      const window = { sinceMs: start - 8_999, untilMs: start - 1_999 };
      expect(await walkOf(store, 50, window)).toMatchObject(
        counts.slice(1).map((_, post) => ({ postId: `p${post + 1}`, views: 700, position: 200 })),
      );
    });
  });
}
