import { describe, expect, it, vi } from "vitest";
import { ID_CODE_POINTS_MAX } from "../../../src/domain/limits.ts";
import { DAY_MS, systemClock } from "../../../src/domain/time.ts";
import { laterReceived } from "../../../src/domain/versions.ts";
import { EVERYTHING, recordHalf, recordViews, viewOf } from "../../kit/views.ts";
import { openStore, type StoreContract, scanAll, someInstantMs, sorted } from "./fixture.ts";

export function write(contract: StoreContract): void {
  describe("write", () => {
    it("shows a view in every read once both steps are done", async () => {
      const { store } = await openStore(contract);
      const view = viewOf({
        userId: "u",
        postId: "p",
        viewedAtMs: someInstantMs(),
        surface: "HOME",
        position: 0,
        dwellMs: 0,
      });
      await recordViews(store, [view]);
      const request = { window: EVERYTHING, after: null, limit: 10 };
      expect((await store.seenPosts({ ...request, ownerId: "u" })).rows).toEqual([
        { postId: "p", lastViewedAtMs: view.viewedAtMs, views: 1, surface: "HOME", position: 0, dwellMs: 0 },
      ]);
      expect((await store.postViewers({ ...request, ownerId: "p" })).rows).toEqual([
        { userId: "u", lastViewedAtMs: view.viewedAtMs, views: 1 },
      ]);
      expect(await store.seenAmong("u", ["p", "q"], { minViews: 1, minDwellMs: 0, sinceMs: 0 })).toEqual(
        new Set(["p"]),
      );
      expect(await scanAll(store)).toEqual([view]);
    });

    it("stores what comes while its clock runs ahead, for as long as by the right one", async () => {
      const jump = { ms: 0 };
      const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + jump.ms };
      const { store } = await openStore(contract, { clock });
      const viewedAtMs = someInstantMs();
      const views = ["before", "during"].map((postId) => viewOf({ userId: "u", postId, viewedAtMs }));
      await recordViews(store, views.slice(0, 1));
      jump.ms = 100 * DAY_MS;
      await recordViews(store, views.slice(1));
      jump.ms = 0;
      expect(sorted(await scanAll(store))).toEqual(views);
      const request = { window: EVERYTHING, after: null, limit: 10 };
      expect((await store.seenPosts({ ...request, ownerId: "u" })).rows).toHaveLength(2);
      expect((await store.postViewers({ ...request, ownerId: "during" })).rows).toHaveLength(1);
    });

    it("keeps every field, nulls and greatest values included", async () => {
      const { store } = await openStore(contract);
      const viewedAtMs = someInstantMs();
      const views = [
        viewOf({ userId: "u", postId: "nothing said", viewedAtMs }),
        viewOf({
          userId: "u",
          postId: "everything said",
          viewedAtMs: viewedAtMs + 1,
          surface: "x".repeat(64),
          position: 100_000,
          dwellMs: 86_400_000,
          receivedAtUs: viewedAtMs * 1_000 + 999,
        }),
        viewOf({ userId: "u", postId: "odd surface", viewedAtMs, surface: " \u0000\u{1f600}" }),
        viewOf({ userId: "u", postId: "empty surface", viewedAtMs, surface: "" }),
      ];
      await recordViews(store, views);
      expect(sorted(await scanAll(store))).toEqual(sorted(views));
    });

    it("takes any id, and none for another", async () => {
      const { store } = await openStore(contract);
      const viewedAtMs = someInstantMs();
      const ids = [
        "a",
        "A",
        " a",
        "a ",
        "1",
        "01",
        "1.0",
        "true",
        "'; DROP TABLE views; --",
        'quote"d\\',
        "%_*?",
        "é",
        "e\u0301",
        "ß",
        "ss",
        "\u{1f600}",
        "\uffff",
        "\u{10ffff}",
        "x".repeat(ID_CODE_POINTS_MAX),
        "\u{1f600}".repeat(ID_CODE_POINTS_MAX),
      ];
      const views = ids.map((id, index) =>
        viewOf({ userId: id, postId: id, viewedAtMs: viewedAtMs + index }),
      );
      await recordViews(store, views);
      for (const [index, id] of ids.entries()) {
        const request = { ownerId: id, window: EVERYTHING, after: null, limit: 10 };
        expect((await store.seenPosts(request)).rows.map(({ postId }) => postId)).toEqual([id]);
        expect((await store.postViewers(request)).rows.map(({ userId }) => userId)).toEqual([id]);
        expect(await store.seenAmong(id, ids, { minViews: 1, minDwellMs: 0, sinceMs: 0 })).toEqual(
          new Set([id]),
        );
        expect((await store.seenPosts(request)).rows[0]?.lastViewedAtMs).toBe(viewedAtMs + index);
      }
    });

    it("stores a view once, however often it is written", async () => {
      const { store } = await openStore(contract);
      const view = viewOf({ userId: "u", postId: "p", viewedAtMs: someInstantMs() });
      await recordViews(store, [view]);
      await recordViews(store, [view]);
      await Promise.all(Array.from({ length: 5 }, () => recordViews(store, [view])));
      const { rows } = await store.seenPosts({ ownerId: "u", window: EVERYTHING, after: null, limit: 10 });
      expect(rows).toMatchObject([{ postId: "p", views: 1 }]);
    });

    it("keeps the later received of two views with one identity, as a whole, in any order", async () => {
      const { store } = await openStore(contract);
      const viewedAtMs = someInstantMs();
      const early = {
        viewedAtMs,
        receivedAtUs: viewedAtMs * 1_000,
        surface: "EARLY",
        position: 1,
        dwellMs: 100,
      };
      const late = {
        viewedAtMs,
        receivedAtUs: viewedAtMs * 1_000 + 1,
        surface: "LATE",
        position: null,
        dwellMs: null,
      };
      const of = (postId: string, fields: typeof early | typeof late) =>
        viewOf({ userId: "u", postId, ...fields });
      await recordViews(store, [of("early first", early)]);
      await recordViews(store, [of("early first", late)]);
      await recordViews(store, [of("late first", late)]);
      await recordViews(store, [of("late first", early)]);
      await recordViews(store, [of("together", early), of("together", late)]);
      await recordViews(store, [of("together, late first", late), of("together, late first", early)]);
      const views = await scanAll(store);
      expect(views).toHaveLength(4);
      for (const view of views) expect(view).toMatchObject({ ...late, surface: "LATE", position: null });
    });

    it("keeps the same one of two versions that were received at once, whichever was written first and when", async () => {
      const { store } = await openStore(contract);
      const viewedAtMs = someInstantMs();
      const details = [
        { surface: null, position: null, dwellMs: null },
        { surface: "HOME", position: 0, dwellMs: 1_000 },
        { surface: "HOME", position: 0, dwellMs: 1_001 },
        { surface: "SEARCH", position: 7, dwellMs: null },
        { surface: "", position: 100_000, dwellMs: 0 },
      ];
      const pairs = details.flatMap((first) => details.map((second) => [first, second] as const));
      const versions = pairs.map(([first, second], index) => {
        const of = (fields: (typeof details)[number]) =>
          viewOf({ userId: "u", postId: `p${index}`, viewedAtMs, ...fields });
        return { first: of(first), second: of(second) };
      });
      await recordViews(
        store,
        versions.map(({ first }) => first),
      );
      // Some way into the next second: a database that counts in seconds sees the second write later.
      const nextMs = Math.floor(Date.now() / 1_000) * 1_000 + 1_500;
      await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(nextMs), { timeout: 10_000, interval: 20 });
      await recordViews(
        store,
        versions.map(({ second }) => second),
      );
      const kept = sorted(versions.map(({ first, second }) => laterReceived(first, second)));
      expect(sorted(await scanAll(store))).toEqual(kept);
      expect(kept).toEqual(sorted(versions.map(({ first, second }) => laterReceived(second, first))));
    });

    it("keeps the latest received when many are written at once", async () => {
      const { store } = await openStore(contract);
      const viewedAtMs = someInstantMs();
      const versions = Array.from({ length: 30 }, (_, index) =>
        viewOf({
          userId: "u",
          postId: "p",
          viewedAtMs,
          receivedAtUs: viewedAtMs * 1_000 + index,
          position: index,
        }),
      );
      await Promise.all(versions.toReversed().map((view) => recordViews(store, [view])));
      expect(await scanAll(store)).toEqual(versions.slice(-1));
    });

    it("counts several views of a post and shows the newest, in whatever order they arrive", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      for (const [userId, order] of Object.entries({ u1: [0, 1, 2], u2: [2, 0, 1], u3: [1, 2, 0] })) {
        for (const minute of order) {
          const viewedAtMs = start + minute * 60_000;
          await recordViews(store, [viewOf({ userId, postId: "p", viewedAtMs, position: minute })]);
        }
        const { rows } = await store.seenPosts({
          ownerId: userId,
          window: EVERYTHING,
          after: null,
          limit: 10,
        });
        expect(rows).toMatchObject([{ lastViewedAtMs: start + 120_000, views: 3, position: 2 }]);
      }
    });

    it("does not show a view whose commit point is missing, nor lets it hide an older one", async () => {
      const { store } = await openStore(contract);
      const viewedAtMs = someInstantMs();
      const older = viewOf({ userId: "u", postId: "p", viewedAtMs });
      const newer = viewOf({ userId: "u", postId: "p", viewedAtMs: viewedAtMs + 5_000 });
      const stranger = viewOf({ userId: "stranger", postId: "p", viewedAtMs: viewedAtMs + 9_000 });
      await recordViews(store, [older]);
      await recordHalf(store, [newer, stranger]);
      const viewers = async () =>
        (await store.postViewers({ ownerId: "p", window: EVERYTHING, after: null, limit: 10 })).rows;
      expect(await viewers()).toEqual([{ userId: "u", lastViewedAtMs: viewedAtMs, views: 1 }]);
      expect(await scanAll(store)).toEqual([older]);
      expect(
        (await store.seenPosts({ ownerId: "stranger", window: EVERYTHING, after: null, limit: 10 })).rows,
      ).toEqual([]);
      // The worker's retry completes it.
      await recordViews(store, [newer, stranger]);
      expect(await viewers()).toEqual([
        { userId: "stranger", lastViewedAtMs: viewedAtMs + 9_000, views: 1 },
        { userId: "u", lastViewedAtMs: viewedAtMs + 5_000, views: 2 },
      ]);
    });

    it("takes 100 views in a call, and none", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const history = Array.from({ length: 100 }, (_, index) =>
        viewOf({ userId: "u", postId: `p${index}`, viewedAtMs: start + index }),
      );
      const crowd = Array.from({ length: 100 }, (_, index) =>
        viewOf({ userId: `u${index}`, postId: "hot", viewedAtMs: start + index }),
      );
      await recordViews(store, [...history, ...crowd]);
      await store.writeViewers("p", []);
      await store.writeHistory("u", []);
      expect(await scanAll(store)).toHaveLength(200);
    });

    it("passes over a view whose time is over already", async () => {
      const { store } = await openStore(contract, { retentionMs: 30 * DAY_MS });
      const gone = viewOf({ userId: "u", postId: "gone", viewedAtMs: Date.now() - 31 * DAY_MS });
      const kept = viewOf({ userId: "u", postId: "kept", viewedAtMs: Date.now() - 29 * DAY_MS });
      await recordViews(store, [gone, kept]);
      expect(await scanAll(store)).toEqual([kept]);
      const { rows } = await store.seenPosts({ ownerId: "u", window: EVERYTHING, after: null, limit: 10 });
      expect(rows.map(({ postId }) => postId)).toEqual(["kept"]);
    });

    it("loses a view from every read when its time is over", async () => {
      const retentionMs = 30 * DAY_MS;
      const { store } = await openStore(contract, { retentionMs });
      const viewedAtMs = Date.now() - retentionMs + 5_000;
      await recordViews(store, [viewOf({ userId: "u", postId: "p", viewedAtMs })]);
      const request = { window: EVERYTHING, after: null, limit: 10 };
      await vi.waitFor(
        async () => {
          expect((await store.seenPosts({ ...request, ownerId: "u" })).rows).toEqual([]);
          expect((await store.postViewers({ ...request, ownerId: "p" })).rows).toEqual([]);
          expect(await store.seenAmong("u", ["p"], { minViews: 1, minDwellMs: 0, sinceMs: 0 })).toEqual(
            new Set(),
          );
          expect(await scanAll(store)).toEqual([]);
        },
        { timeout: 60_000, interval: 100 },
      );
      // Not before its time: a second of grace for engines that count in seconds.
      expect(Date.now()).toBeGreaterThan(viewedAtMs + retentionMs - 1_000);
    });

    it("survives a restart", async () => {
      const opened = await openStore(contract);
      const view = viewOf({ userId: "u", postId: "p", viewedAtMs: someInstantMs(), surface: "HOME" });
      await recordViews(opened.store, [view]);
      expect(await scanAll(await opened.reopen())).toEqual([view]);
    });
  });
}
