import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Window } from "../../src/domain/time.ts";
import { laterReceived } from "../../src/domain/versions.ts";
import { createSettling, type PackRow, type StoredView } from "../../src/scylla/packs/history.ts";
import { packsOf } from "../../src/scylla/packs/pack-codec.ts";
import { EVERYTHING, viewOf } from "../kit/views.ts";

const NOON = Date.UTC(2026, 10, 23, 12);
const MINUTE_MS = 60_000;

/** A submission of a few posts, some minutes before noon; of a script, most lie within a pack's span of each other. */
const anySubmission = fc.record({
  minutes: fc.oneof(fc.constant(5), fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 600 })),
  posts: fc.array(fc.record({ post: fc.nat(40), secondsBefore: fc.nat(899) }), {
    minLength: 1,
    maxLength: 4,
  }),
  receivedAtUs: fc.integer({ min: 1, max: 50 }),
});
const anyHistory = fc.array(anySubmission, { minLength: 1, maxLength: 300, size: "max" });

function packsOfHistory(
  submissions: typeof anyHistory extends fc.Arbitrary<infer History> ? History : never,
) {
  const packs: PackRow[] = [];
  const views: StoredView[] = [];
  for (const [index, { minutes, posts, receivedAtUs }] of submissions.entries()) {
    const own = posts.map(({ post, secondsBefore }) => ({
      ...{ postId: `p${post}`, viewedAtMs: NOON - minutes * MINUTE_MS - secondsBefore * 1_000 },
      ...{ surface: null, position: index, dwellMs: null },
    }));
    views.push(...own.map((view) => ({ ...view, receivedAtUs })));
    packs.push(...packsOf(own).map((pack) => ({ ...pack, receivedAtUs })));
  }
  return { packs: packs.sort((a, b) => b.newestAtMs - a.newestAtMs), views };
}

/** Each view of the window once, as the version that stays, in order; worked out the simple way. */
function expectedOf(views: readonly StoredView[], { sinceMs, untilMs }: Window): StoredView[] {
  const stays = new Map<string, StoredView>();
  for (const view of views) {
    if (view.viewedAtMs < sinceMs || view.viewedAtMs >= untilMs) continue;
    const key = `${view.viewedAtMs} ${view.postId}`;
    const known = stays.get(key) ?? view;
    const owned = (one: StoredView) => viewOf({ ...one, userId: "u" });
    stays.set(key, laterReceived(owned(known), owned(view)).position === view.position ? view : known);
  }
  return [...stays.values()].sort(
    (a, b) => b.viewedAtMs - a.viewedAtMs || (a.postId < b.postId ? 1 : a.postId > b.postId ? -1 : 0),
  );
}

describe("a history's packs", () => {
  test("are settled in order, each view once, however close they lie and in whatever pages they come", () => {
    const windows = fc.constantFrom<Window>(EVERYTHING, {
      sinceMs: NOON - 90 * MINUTE_MS,
      untilMs: NOON - 10 * MINUTE_MS,
    });
    fc.assert(
      fc.property(anyHistory, windows, fc.integer({ min: 1, max: 200 }), (submissions, window, perPage) => {
        const { packs, views } = packsOfHistory(submissions);
        const visited: StoredView[] = [];
        const settling = createSettling(window);
        const visit = (view: StoredView) => void visited.push({ ...view });
        for (let start = 0; start < packs.length; start += perPage)
          settling.add(packs.slice(start, start + perPage), visit);
        settling.rest(visit);
        expect(visited).toEqual(expectedOf(views, window));
      }),
      { numRuns: 300 },
    );
  });

  test("are told before the last of them, so that a walk may stop", () => {
    const apart = Array.from({ length: 5 }, (_, index) => ({
      ...{ minutes: index * 16, receivedAtUs: 1 },
      posts: [{ post: index, secondsBefore: 0 }],
    }));
    // So close together that the views of a part of them have to do.
    const close = Array.from({ length: 200 }, (_, index) => ({
      ...{ minutes: index / 20, receivedAtUs: 1 },
      posts: [{ post: index % 40, secondsBefore: 0 }],
    }));
    for (const [submissions, told] of [
      [apart, 4],
      [close, 100],
    ] as const) {
      let visited = 0;
      const settling = createSettling();
      settling.add(packsOfHistory(submissions).packs, () => visited++);
      expect(visited).toBeGreaterThanOrEqual(told);
      expect(visited).toBeLessThan(submissions.length);
    }
  });
});
