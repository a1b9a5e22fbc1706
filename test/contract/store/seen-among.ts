import { describe, expect, it } from "vitest";
import { CANDIDATES_MAX, VIEWS_COUNT_MAX } from "../../../src/domain/limits.ts";
import { recordViews, viewOf } from "../../kit/views.ts";
import { openStore, type StoreContract, someInstantMs, viewsOfPosts } from "./fixture.ts";

export function seenAmong(contract: StoreContract): void {
  describe("seenAmong", () => {
    const ANY = { minViews: 1, minDwellMs: 0, sinceMs: 0 };

    it("names those of the candidates that this user has seen", async () => {
      const { store } = await openStore(contract);
      const viewedAtMs = someInstantMs();
      await recordViews(store, [
        viewOf({ userId: "u", postId: "seen", viewedAtMs }),
        viewOf({ userId: "other", postId: "others'", viewedAtMs }),
      ]);
      expect(await store.seenAmong("u", ["seen", "others'", "unknown", "seen"], ANY)).toEqual(
        new Set(["seen"]),
      );
      expect(await store.seenAmong("u", [], ANY)).toEqual(new Set());
      expect(await store.seenAmong("nobody", ["seen"], ANY)).toEqual(new Set());
    });

    it("counts views up to minViews", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      await recordViews(
        store,
        [1, 2, 3].flatMap((times) =>
          Array.from({ length: times }, (_, index) =>
            viewOf({ userId: "u", postId: `seen ${times}`, viewedAtMs: start + index }),
          ),
        ),
      );
      const candidates = ["seen 1", "seen 2", "seen 3"];
      const among = (minViews: number) => store.seenAmong("u", candidates, { ...ANY, minViews });
      expect(await among(1)).toEqual(new Set(candidates));
      expect(await among(2)).toEqual(new Set(["seen 2", "seen 3"]));
      expect(await among(3)).toEqual(new Set(["seen 3"]));
      expect(await among(4)).toEqual(new Set());
    });

    it("counts a view without a dwell time only where none is asked for", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const dwells = { none: null, zero: 0, short: 999, enough: 1_000, long: 5_000 };
      await recordViews(
        store,
        Object.entries(dwells).map(([postId, dwellMs]) =>
          viewOf({ userId: "u", postId, viewedAtMs: start, dwellMs }),
        ),
      );
      const candidates = Object.keys(dwells);
      const among = (minDwellMs: number) => store.seenAmong("u", candidates, { ...ANY, minDwellMs });
      expect(await among(0)).toEqual(new Set(candidates));
      expect(await among(1)).toEqual(new Set(["short", "enough", "long"]));
      expect(await among(1_000)).toEqual(new Set(["enough", "long"]));
    });

    it("counts views from sinceMs on, and only those that pass the other conditions", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      await recordViews(store, [
        viewOf({ userId: "u", postId: "p", viewedAtMs: start, dwellMs: 5_000 }),
        viewOf({ userId: "u", postId: "p", viewedAtMs: start + 1_000, dwellMs: 10 }),
        viewOf({ userId: "u", postId: "p", viewedAtMs: start + 2_000, dwellMs: 5_000 }),
      ]);
      const seen = async (rule: Partial<typeof ANY>) =>
        (await store.seenAmong("u", ["p"], { ...ANY, ...rule })).has("p");
      expect(await seen({ sinceMs: start + 2_000 })).toBe(true);
      expect(await seen({ sinceMs: start + 2_001 })).toBe(false);
      expect(await seen({ sinceMs: start + 1_000, minViews: 2 })).toBe(true);
      expect(await seen({ sinceMs: start + 1_000, minViews: 2, minDwellMs: 100 })).toBe(false);
      expect(await seen({ minViews: 2, minDwellMs: 100 })).toBe(true);
      expect(await seen({ minViews: 3, minDwellMs: 100 })).toBe(false);
    });

    it("looks at the newest views of a post, as many as are counted", async () => {
      const { store } = await openStore(contract);
      const start = someInstantMs();
      const counts = [VIEWS_COUNT_MAX - 1, VIEWS_COUNT_MAX, VIEWS_COUNT_MAX + 1, 2 * VIEWS_COUNT_MAX, 1];
      await recordViews(
        store,
        viewsOfPosts(counts, (post, index) => ({
          viewedAtMs: start - index,
          // The oldest one alone was long.
          dwellMs: index + 1 === counts[post] ? 5_000 : 10,
        })),
      );
      const candidates = ["none", ...counts.map((_, post) => `p${post}`), "p", "q"];
      const among = async (rule: Partial<typeof ANY>) =>
        [...(await store.seenAmong("u", candidates, { ...ANY, ...rule }))].sort();
      expect(await among({})).toEqual(["p0", "p1", "p2", "p3", "p4"]);
      expect(await among({ minViews: VIEWS_COUNT_MAX })).toEqual(["p1", "p2", "p3"]);
      expect(await among({ minViews: VIEWS_COUNT_MAX - 1 })).toEqual(["p0", "p1", "p2", "p3"]);
      expect(await among({ minDwellMs: 5_000 })).toEqual(["p0", "p1", "p4"]);
      expect(await among({ minDwellMs: 10, minViews: VIEWS_COUNT_MAX })).toEqual(["p1", "p2", "p3"]);
      expect(await among({ minDwellMs: 10, minViews: 5, sinceMs: start - 4 })).toEqual([
        "p0",
        "p1",
        "p2",
        "p3",
      ]);
      expect(await among({ minViews: 6, sinceMs: start - 4 })).toEqual([]);
    });

    it("takes as many candidates as a query may name", async () => {
      const { store } = await openStore(contract);
      const viewedAtMs = someInstantMs();
      const candidates = Array.from({ length: CANDIDATES_MAX }, (_, index) => `post ${index}`);
      const seen = candidates.filter((_, index) => index % 7 === 0);
      await recordViews(
        store,
        seen.map((postId) => viewOf({ userId: "u", postId, viewedAtMs })),
      );
      expect(await store.seenAmong("u", candidates, ANY)).toEqual(new Set(seen));
    });
  });
}
