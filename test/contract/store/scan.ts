import { describe, expect, it } from "vitest";
import { recordHalf, recordViews, viewOf } from "../../kit/views.ts";
import { openStore, type StoreContract, scanAll, someInstantMs, sorted } from "./fixture.ts";

export function scan(contract: StoreContract): void {
  describe("scan", () => {
    it("gives nothing of an empty store", async () => {
      const { store } = await openStore(contract);
      expect(await scanAll(store)).toEqual([]);
    });

    it("gives every view once, as it was written, for every page size", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const views = Array.from({ length: 120 }, (_, index) =>
        viewOf({
          userId: `u${index % 7}`,
          postId: `p\u{1f600}${index % 11}`,
          viewedAtMs: start + index,
          receivedAtUs: (start + index) * 1_000 + index,
          surface: index % 2 === 0 ? "HOME" : null,
          position: index % 3 === 0 ? null : index,
          dwellMs: index % 5 === 0 ? null : index * 10,
        }),
      );
      await recordViews(store, views);
      for (const limit of [1, 7, 119, 120, 5_000])
        expect(sorted(await scanAll(store, limit))).toEqual(sorted(views));
    });

    it("leaves out what is not committed", async () => {
      const { store } = await openStore(contract);
      const viewedAtMs = someInstantMs();
      const whole = viewOf({ userId: "whole", postId: "p", viewedAtMs });
      await recordViews(store, [whole]);
      await recordHalf(store, [viewOf({ userId: "half", postId: "p", viewedAtMs })]);
      expect(await scanAll(store)).toEqual([whole]);
    });

    it("goes on after a restart where it stood", async () => {
      const opened = await openStore(contract);
      const start = someInstantMs();
      const views = Array.from({ length: 30 }, (_, index) =>
        viewOf({ userId: `u${index}`, postId: "p", viewedAtMs: start + index }),
      );
      await recordViews(opened.store, views);
      const first = await opened.store.scan(null, 10);
      const reopened = await opened.reopen();
      const rest = [];
      for (let after = first.next; after !== null; ) {
        const page = await reopened.scan(after, 10);
        rest.push(...page.views);
        after = page.next;
      }
      expect(sorted([...first.views, ...rest])).toEqual(sorted(views));
    });
  });
}
