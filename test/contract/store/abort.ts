import { describe, expect, it } from "vitest";
import type { ImpressionStore } from "../../../src/ports/impression-store.ts";
import { EVERYTHING, recordViews, viewOf } from "../../kit/views.ts";
import { openStore, type StoreContract, someInstantMs } from "./fixture.ts";

export function abort(contract: StoreContract): void {
  describe("a read with a signal", () => {
    const page = { window: EVERYTHING, after: null, limit: 10 };
    const reads: Record<string, (store: ImpressionStore, signal: AbortSignal) => Promise<unknown>> = {
      seenPosts: (store, signal) => store.seenPosts({ ownerId: "u", ...page }, signal),
      postViewers: (store, signal) => store.postViewers({ ownerId: "p", ...page }, signal),
      seenAmong: (store, signal) =>
        store.seenAmong("u", ["p", "q"], { minViews: 1, minDwellMs: 0, sinceMs: 0 }, signal),
    };

    async function openWithView(): Promise<ImpressionStore> {
      const { store } = await openStore(contract);
      await recordViews(store, [viewOf({ userId: "u", postId: "p", viewedAtMs: someInstantMs() })]);
      return store;
    }

    it.each(Object.entries(reads))("%s rejects with its reason once it is aborted", async (_name, read) => {
      const store = await openWithView();
      const reason = new Error("nobody waits any more");
      await expect(read(store, AbortSignal.abort(reason))).rejects.toBe(reason);

      const controller = new AbortController();
      const reading = read(store, controller.signal);
      controller.abort(reason);
      await expect(reading).rejects.toBe(reason);
    });

    it("answers as ever while it is not", async () => {
      const store = await openWithView();
      const { signal } = new AbortController();
      const { rows: posts } = await store.seenPosts({ ownerId: "u", ...page }, signal);
      expect(posts.map(({ postId }) => postId)).toEqual(["p"]);
      const { rows: viewers } = await store.postViewers({ ownerId: "p", ...page }, signal);
      expect(viewers.map(({ userId }) => userId)).toEqual(["u"]);
      const rule = { minViews: 1, minDwellMs: 0, sinceMs: 0 };
      expect(await store.seenAmong("u", ["p", "q"], rule, signal)).toEqual(new Set(["p"]));
    });
  });
}
