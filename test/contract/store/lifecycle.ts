import { describe, expect, it } from "vitest";
import { StoreUnavailableError } from "../../../src/ports/errors.ts";
import type { ImpressionStore } from "../../../src/ports/impression-store.ts";
import { EVERYTHING, recordViews, viewOf } from "../../kit/views.ts";
import { openStore, type StoreContract, scanAll, someInstantMs } from "./fixture.ts";

export function lifecycle(contract: StoreContract): void {
  describe("lifecycle", () => {
    it("opens stores that share nothing", async () => {
      const [one, other] = await Promise.all([openStore(contract), openStore(contract)]);
      const view = viewOf({ userId: "u", postId: "p", viewedAtMs: someInstantMs() });
      await recordViews(one.store, [view]);
      expect(await scanAll(one.store)).toEqual([view]);
      expect(await scanAll(other.store)).toEqual([]);
    });

    it("is healthy while it is open and says why when it is not", async () => {
      const { store } = await openStore(contract);
      expect(await store.health()).toEqual({ healthy: true });
      await store.close();
      expect((await store.health()).healthy).toBe(false);
    });

    it("closes once, however often it is called", async () => {
      const { store } = await openStore(contract);
      await Promise.all([store.close(), store.close()]);
      await store.close();
    });

    it("keeps messages and views that it confirmed before the close", async () => {
      const opened = await openStore(contract);
      const start = someInstantMs();
      const views = Array.from({ length: 50 }, (_, index) =>
        viewOf({ userId: `u${index}`, postId: "p", viewedAtMs: start + index }),
      );
      const writes = views.map((view) => recordViews(opened.store, [view]));
      const [results, reopened] = await Promise.all([Promise.allSettled(writes), opened.reopen()]);
      const stored = views.filter((_, index) => results[index]?.status === "fulfilled");
      expect(await scanAll(reopened)).toEqual(expect.arrayContaining(stored));
    });

    const view = viewOf({ userId: "u", postId: "p", viewedAtMs: someInstantMs() });
    const request = { ownerId: "u", window: EVERYTHING, after: null, limit: 10 };
    // Every operation of the port: one that is missing here does not compile.
    type Operation = Exclude<keyof ImpressionStore, "health" | "close">;
    const calls: Record<Operation, (store: ImpressionStore) => Promise<unknown>> = {
      writeViewers: (store) => store.writeViewers("p", [view]),
      writeHistory: (store) => store.writeHistory("u", [view]),
      seenPosts: (store) => store.seenPosts(request),
      postViewers: (store) => store.postViewers(request),
      seenAmong: (store) => store.seenAmong("u", ["p"], { minViews: 1, minDwellMs: 0, sinceMs: 0 }),
      scan: (store) => store.scan(null, 10),
      eraseUser: (store) => store.eraseUser("u", view.receivedAtUs),
      erasedThrough: (store) => store.erasedThrough(["u"]),
      saveErasure: (store) =>
        store.saveErasure({
          id: "e",
          userId: "u",
          requestedAtUs: view.receivedAtUs,
          status: "DELETING",
          rowsDeleted: 0,
          finishedAtMs: null,
        }),
      findErasure: (store) => store.findErasure("e"),
      unfinishedErasures: (store) => store.unfinishedErasures(),
      claimErasure: (store) => store.claimErasure("e", "holder", 30_000),
      releaseErasure: (store) => store.releaseErasure("e", "holder"),
      scrub: (store) => store.scrub(),
    };
    it.each(Object.entries(calls))("refuses %s once it is closed", async (_name, call) => {
      const { store } = await openStore(contract);
      await store.close();
      await expect(call(store)).rejects.toThrow(StoreUnavailableError);
    });
  });
}
