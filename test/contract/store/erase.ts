import { describe, expect, it, vi } from "vitest";
import type { Erasure } from "../../../src/domain/erasure.ts";
import { DAY_MS, MINUTE_MS } from "../../../src/domain/time.ts";
import type { ImpressionStore } from "../../../src/ports/impression-store.ts";
import { EVERYTHING, recordViews, viewOf, walkAll } from "../../kit/views.ts";
import { openStore, type StoreContract, scanAll, someInstantMs, sorted } from "./fixture.ts";

export function erase(contract: StoreContract): void {
  const seenBy = async (store: ImpressionStore, userId: string) =>
    (await store.seenPosts({ ownerId: userId, window: EVERYTHING, after: null, limit: 500 })).rows.map(
      ({ postId }) => postId,
    );
  const viewersOf = async (store: ImpressionStore, postId: string) =>
    (await store.postViewers({ ownerId: postId, window: EVERYTHING, after: null, limit: 500 })).rows.map(
      ({ userId }) => userId,
    );

  describe("eraseUser", () => {
    it("takes everything of the user out of every read, and nothing of anyone else", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const views = ["u", "v"].flatMap((userId) =>
        Array.from({ length: 20 }, (_, index) =>
          viewOf({ userId, postId: `p${index % 10}`, viewedAtMs: start + index * 60_000 }),
        ),
      );
      await recordViews(store, views);
      const { rowsDeleted } = await store.eraseUser("u", Date.now() * 1_000);
      expect(rowsDeleted).toBeGreaterThanOrEqual(20);
      expect(await seenBy(store, "u")).toEqual([]);
      expect(await viewersOf(store, "p3")).toEqual(["v"]);
      expect(await store.seenAmong("u", ["p3"], { minViews: 1, minDwellMs: 0, sinceMs: 0 })).toEqual(
        new Set(),
      );
      expect(await scanAll(store)).toHaveLength(20);
      expect(await seenBy(store, "v")).toHaveLength(10);
    });

    it("keeps views that were received later, and takes a later resend for a new view", async () => {
      const { store } = await openStore(contract);
      const viewedAtMs = someInstantMs();
      const throughUs = viewedAtMs * 1_000 + 500;
      const of = (postId: string, receivedAtUs: number) =>
        viewOf({ userId: "u", postId, viewedAtMs, receivedAtUs });
      await recordViews(store, [
        of("before", throughUs - 1),
        of("at", throughUs),
        of("after", throughUs + 1),
      ]);
      await store.eraseUser("u", throughUs);
      expect(await seenBy(store, "u")).toEqual(["after"]);
      expect(await viewersOf(store, "at")).toEqual([]);
      await recordViews(store, [of("before", throughUs + 2)]);
      expect((await seenBy(store, "u")).sort()).toEqual(["after", "before"]);
      expect(await viewersOf(store, "before")).toEqual(["u"]);
    });

    it("takes what a clock dated that was ahead, and its repetitions, but nothing else of the user's later life", async () => {
      const { store } = await openStore(contract);
      const viewedAtMs = someInstantMs();
      const nowUs = Date.now() * 1_000;
      const of = (postId: string, receivedAtUs: number) =>
        viewOf({ userId: "u", postId, viewedAtMs, receivedAtUs });
      const ahead = [10 * MINUTE_MS, 100 * DAY_MS].map((aheadMs) =>
        of(`ahead ${aheadMs}`, nowUs + aheadMs * 1_000),
      );
      const later = of("later", nowUs - 1_000_000);
      await recordViews(store, [...ahead, later, of("before", nowUs - 60_000_000)]);
      const counts: number[] = [];
      const erased = await store.eraseUser("u", nowUs - 30_000_000, async (views) => void counts.push(views));
      expect(erased).toEqual({ rowsDeleted: 3 });
      expect(counts).toEqual([3]);
      // Delivered again, as a queue may do.
      await recordViews(store, ahead);
      await store.eraseUser("u", nowUs - 30_000_000);
      expect(await seenBy(store, "u")).toEqual(["later"]);
      expect(await viewersOf(store, ahead[0]?.postId ?? "")).toEqual([]);
      expect(await scanAll(store)).toEqual([later]);
      // The user is not shut out: new views are stored.
      const fresh = of("fresh", nowUs);
      await recordViews(store, [fresh]);
      expect(sorted(await scanAll(store))).toEqual(sorted([fresh, later]));
    });

    it("keeps out what was received before and is written only now", async () => {
      const opened = await openStore(contract);
      const viewedAtMs = someInstantMs();
      const throughUs = viewedAtMs * 1_000 + 500;
      const late = viewOf({ userId: "u", postId: "late", viewedAtMs, receivedAtUs: throughUs });
      const fresh = viewOf({ userId: "u", postId: "fresh", viewedAtMs, receivedAtUs: throughUs + 1 });
      await opened.store.eraseUser("u", throughUs);
      await recordViews(opened.store, [late, fresh]);
      expect(await seenBy(opened.store, "u")).toEqual(["fresh"]);
      expect(await viewersOf(opened.store, "late")).toEqual([]);

      const reopened = await opened.reopen();
      await recordViews(reopened, [late]);
      expect(await seenBy(reopened, "u")).toEqual(["fresh"]);
    });

    it("holds to the greatest instant of several", async () => {
      const { store } = await openStore(contract);
      const viewedAtMs = someInstantMs();
      const throughUs = viewedAtMs * 1_000 + 500;
      await store.eraseUser("u", throughUs);
      await store.eraseUser("u", throughUs - 400);
      await recordViews(store, [
        viewOf({ userId: "u", postId: "p", viewedAtMs, receivedAtUs: throughUs - 1 }),
      ]);
      expect(await seenBy(store, "u")).toEqual([]);
    });

    it("can be repeated, and finds nothing of a user who is not there", async () => {
      const { store } = await openStore(contract);
      await recordViews(store, [viewOf({ userId: "u", postId: "p", viewedAtMs: someInstantMs() })]);
      const throughUs = Date.now() * 1_000;
      await store.eraseUser("u", throughUs);
      await store.eraseUser("u", throughUs);
      await store.eraseUser("nobody", throughUs);
      expect(await scanAll(store)).toEqual([]);
    });

    it("tells which users were erased, and through when", async () => {
      const opened = await openStore(contract);
      const throughUs = Date.now() * 1_000;
      await opened.store.eraseUser("u", throughUs - 1);
      await opened.store.eraseUser("u", throughUs);
      await opened.store.eraseUser("'é\u{1f600}\"", throughUs);
      const asked = ["v", "u", "'é\u{1f600}\"", "u"];
      const erased = new Map([
        ["u", throughUs],
        ["'é\u{1f600}\"", throughUs],
      ]);
      expect(await opened.store.erasedThrough(asked)).toEqual(erased);
      expect(await opened.store.erasedThrough([])).toEqual(new Map());
      expect(await (await opened.reopen()).erasedThrough(asked)).toEqual(erased);
    });

    it("holds under every later retention: what was received before stays out", async () => {
      const opened = await openStore(contract, { retentionMs: 2 * DAY_MS });
      const viewedAtMs = Date.now() - 5 * DAY_MS;
      await opened.store.eraseUser("u", viewedAtMs * 1_000);
      const reopened = await opened.reopen({ retentionMs: 90 * DAY_MS });
      await recordViews(reopened, [
        viewOf({ userId: "u", postId: "p", viewedAtMs }),
        viewOf({ userId: "v", postId: "p", viewedAtMs }),
      ]);
      expect((await scanAll(reopened)).map(({ userId }) => userId)).toEqual(["v"]);
      expect(await reopened.erasedThrough(["u"])).toEqual(new Map([["u", viewedAtMs * 1_000]]));
    });

    it("takes a long history, while others are written", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      await recordViews(
        store,
        Array.from({ length: 2_500 }, (_, index) =>
          viewOf({ userId: "u", postId: `p${index % 300}`, viewedAtMs: start + index }),
        ),
      );
      const others = Array.from({ length: 20 }, (_, index) =>
        viewOf({ userId: "v", postId: `p${index}`, viewedAtMs: start + index }),
      );
      const erased = store.eraseUser("u", Date.now() * 1_000);
      await Promise.all([erased, ...others.map((view) => recordViews(store, [view]))]);
      expect((await erased).rowsDeleted).toBeGreaterThanOrEqual(2_500);
      expect(await seenBy(store, "u")).toEqual([]);
      expect(await seenBy(store, "v")).toHaveLength(20);
    });
  });

  describe("a walk across an erasure", () => {
    const PAGES_BEFORE = 2;

    it("gives a viewer who views again after it once more, and every other viewer exactly once", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const users = Array.from({ length: 8 }, (_, index) => `u${index}`);
      await recordViews(
        store,
        users.map((userId, index) => viewOf({ userId, postId: "p", viewedAtMs: start - index * 1_000 })),
      );
      let pages = 0;
      const rows = await walkAll(
        store.postViewers,
        { ownerId: "p", window: EVERYTHING, limit: 1 },
        async () => {
          if (++pages !== PAGES_BEFORE) return;
          // One views the post anew in the part that is walked already and behind it, the other behind it only.
          for (const [userId, ages] of [
            ["u0", [500, 4_500]],
            ["u1", [6_500]],
          ] as const) {
            await store.eraseUser(userId, Date.now() * 1_000);
            const receivedAtUs = Date.now() * 1_000 + 1_000_000;
            await recordViews(
              store,
              ages.map((ageMs) => viewOf({ userId, postId: "p", viewedAtMs: start - ageMs, receivedAtUs })),
            );
          }
        },
      );
      expect(rows.map(({ userId }) => userId)).toEqual([
        "u0",
        "u1",
        "u2",
        "u3",
        "u4",
        "u5",
        "u6",
        "u1",
        "u7",
      ]);
      // A walk from its beginning has everyone once.
      const again = await walkAll(store.postViewers, { ownerId: "p", window: EVERYTHING, limit: 3 });
      expect(again.map(({ userId }) => userId).sort()).toEqual(users);
    });

    it("gives each post of a user at most once before and once after", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const views = Array.from({ length: 6 }, (_, index) =>
        viewOf({ userId: "u", postId: `p${index}`, viewedAtMs: start - index * 1_000 }),
      );
      await recordViews(store, views);
      let pages = 0;
      const rows = await walkAll(
        store.seenPosts,
        { ownerId: "u", window: EVERYTHING, limit: 2 },
        async () => {
          if (++pages !== 1) return;
          await store.eraseUser("u", Date.now() * 1_000);
          const receivedAtUs = Date.now() * 1_000 + 1_000_000;
          const older = views.map((view) => ({
            ...view,
            viewedAtMs: view.viewedAtMs - 20_000,
            receivedAtUs,
          }));
          await recordViews(store, older);
        },
      );
      const walked = rows.map(({ postId, lastViewedAtMs }) => [postId, start - lastViewedAtMs]);
      const place = (index: number, ageMs: number) => [`p${index}`, ageMs + index * 1_000];
      expect(walked).toEqual([
        ...[0, 1].map((index) => place(index, 0)),
        ...[0, 1, 2, 3, 4, 5].map((index) => place(index, 20_000)),
      ]);
    });
  });

  describe("the claim of an erasure", () => {
    const LONG_MS = 600_000;

    it("has one holder, who may renew it, until it is released", async () => {
      const { store } = await openStore(contract);
      expect(await store.claimErasure("e1", "a", LONG_MS)).toBe(true);
      expect(await store.claimErasure("e1", "b", LONG_MS)).toBe(false);
      expect(await store.claimErasure("e1", "a", LONG_MS)).toBe(true);
      expect(await store.claimErasure("e2", "b", LONG_MS)).toBe(true);
      await store.releaseErasure("e1", "b");
      expect(await store.claimErasure("e1", "c", LONG_MS)).toBe(false);
      await store.releaseErasure("e1", "a");
      expect(await store.claimErasure("e1", "c", LONG_MS)).toBe(true);
    });

    it("never has two holders, however many ask at once", async () => {
      const { store } = await openStore(contract);
      for (let round = 0; round < 10; round++) {
        const claims = await Promise.all(
          Array.from({ length: 5 }, (_, holder) => store.claimErasure(`e${round}`, `h${holder}`, LONG_MS)),
        );
        expect(claims.filter((held) => held).length).toBeLessThanOrEqual(1);
      }
    });

    it("ends by itself where its holder has died", async () => {
      const { store } = await openStore(contract);
      expect(await store.claimErasure("e1", "dead", 1_000)).toBe(true);
      await vi.waitFor(async () => expect(await store.claimErasure("e1", "b", LONG_MS)).toBe(true), {
        timeout: 60_000,
        interval: 100,
      });
    });
  });

  describe("erasure receipts", () => {
    const receiptOf = (given: Partial<Erasure>): Erasure => ({
      id: "e1",
      userId: "u",
      requestedAtUs: 1_790_000_000_000_001,
      status: "WAITING_FOR_QUEUE",
      rowsDeleted: 0,
      finishedAtMs: null,
      ...given,
    });

    it("are found by id, replaced as a whole, and survive a restart", async () => {
      const opened = await openStore(contract);
      expect(await opened.store.findErasure("e1")).toBeNull();
      await opened.store.saveErasure(receiptOf({}));
      expect(await opened.store.findErasure("e1")).toEqual(receiptOf({}));
      const done = receiptOf({ status: "DONE", rowsDeleted: 12, finishedAtMs: 1_790_000_001_000 });
      await opened.store.saveErasure(done);
      const kept = { ...done, userId: expect.stringMatching(/^hash:[0-9a-f]{32}$/) };
      expect(await opened.store.findErasure("e1")).toEqual(kept);
      expect(await (await opened.reopen()).findErasure("e1")).toEqual(kept);
    });

    it("are listed while they are not finished, oldest first", async () => {
      const { store } = await openStore(contract);
      expect(await store.unfinishedErasures()).toEqual([]);
      const at = (requestedAtUs: number) => 1_790_000_000_000_000 + requestedAtUs;
      await store.saveErasure(receiptOf({ id: "third", requestedAtUs: at(3), status: "DELETING" }));
      await store.saveErasure(receiptOf({ id: "first", requestedAtUs: at(1) }));
      await store.saveErasure(
        receiptOf({ id: "done", requestedAtUs: at(0), status: "DONE", finishedAtMs: 1 }),
      );
      await store.saveErasure(
        receiptOf({ id: "failed", requestedAtUs: at(0), status: "FAILED", finishedAtMs: 1 }),
      );
      await store.saveErasure(receiptOf({ id: "second", requestedAtUs: at(2) }));
      expect((await store.unfinishedErasures()).map(({ id }) => id)).toEqual(["first", "second", "third"]);
      await store.saveErasure(
        receiptOf({ id: "second", requestedAtUs: at(2), status: "DONE", finishedAtMs: 2 }),
      );
      expect((await store.unfinishedErasures()).map(({ id }) => id)).toEqual(["first", "third"]);
    });
  });
}
