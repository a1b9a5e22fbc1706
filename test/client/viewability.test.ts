import { expect, test } from "vitest";
import { listViews } from "../../client/src/react-native.ts";
import { createViewReporter, createViewTracker } from "../../client/src/viewability.ts";

const MINUTE_MS = 60_000;

test("half of a post for a second is a view, known when it ends, with its duration", () => {
  const tracker = createViewTracker();
  expect(tracker.visible("p", 0.5, 1_000)).toBeNull();
  expect(tracker.visible("p", 1, 1_500)).toBeNull();
  expect(tracker.visible("p", 0.49, 2_000)).toEqual({ postId: "p", startedAtMs: 1_000, dwellMs: 1_000 });
  expect(tracker.visible("p", 0, 2_100)).toBeNull();
});

test.each([
  [
    "999 ms",
    [
      ["p", 1, 0],
      ["p", 0, 999],
    ],
  ],
  [
    "less than half",
    [
      ["p", 0.49, 0],
      ["p", 0, 5_000],
    ],
  ],
  [
    "a second in two pieces",
    [
      ["p", 1, 0],
      ["p", 0.2, 600],
      ["p", 1, 700],
      ["p", 0, 1_300],
    ],
  ],
  [
    "no number",
    [
      ["p", Number.NaN, 0],
      ["p", 0, 5_000],
    ],
  ],
] as const)("%s is no view", (_what, observed) => {
  const tracker = createViewTracker();
  for (const [postId, fraction, nowMs] of observed)
    expect(tracker.visible(postId, fraction, nowMs)).toBeNull();
});

test("the numbers are the caller's", () => {
  const tracker = createViewTracker({ fractionMin: 1, durationMs: 2_000 });
  tracker.visible("p", 0.9, 0);
  expect(tracker.visible("p", 0, 3_000)).toBeNull();
  tracker.visible("p", 1, 4_000);
  expect(tracker.visible("p", 0.9, 6_000)).toMatchObject({ dwellMs: 2_000 });
});

test("the same post again counts after half an hour, measured from the end of its last view", () => {
  const tracker = createViewTracker();
  const look = (startMs: number) => {
    tracker.visible("p", 1, startMs);
    return tracker.visible("p", 0, startMs + 2_000);
  };
  expect(look(0)).not.toBeNull();
  expect(look(MINUTE_MS)).toBeNull();
  expect(look(31 * MINUTE_MS)).toBeNull();
  expect(look(62 * MINUTE_MS)).not.toBeNull();
});

test("views of visible posts end when the app leaves the screen", () => {
  const tracker = createViewTracker();
  tracker.visible("long", 1, 0);
  tracker.visible("short", 1, 1_500);
  expect(tracker.hideAll(2_000)).toEqual([{ postId: "long", startedAtMs: 0, dwellMs: 2_000 }]);
  expect(tracker.hideAll(9_000)).toEqual([]);
});

test("a post in several places is visible while any of them is", () => {
  const tracker = createViewTracker();
  tracker.visible("p", 1, 0, "pinned");
  tracker.visible("p", 1, 800, "feed");
  expect(tracker.visible("p", 0, 900, "pinned")).toBeNull();
  // Said twice, and of a place that never was visible.
  expect(tracker.visible("p", 0, 950, "pinned")).toBeNull();
  expect(tracker.visible("p", 0, 960, "elsewhere")).toBeNull();
  expect(tracker.isVisible("p")).toBe(true);
  expect(tracker.visible("p", 0, 1_500, "feed")).toEqual({ postId: "p", startedAtMs: 0, dwellMs: 1_500 });
  expect(tracker.isVisible("p")).toBe(false);
});

test("remembers a bounded number of posts", () => {
  const tracker = createViewTracker();
  for (let index = 0; index < 1_001; index++) {
    tracker.visible(`p${index}`, 1, index);
    tracker.visible(`p${index}`, 0, index + 1_000);
  }
  tracker.visible("p0", 1, 3_000);
  expect(tracker.visible("p0", 0, 5_000), "forgotten: it was the oldest").not.toBeNull();
  tracker.visible("p1000", 1, 5_000);
  expect(tracker.visible("p1000", 0, 7_000), "remembered").toBeNull();
});

test("the reporter measures on the monotonic clock and dates by the wall clock", () => {
  const now = { wallMs: 1_000_000, monotonicMs: 0 };
  const viewed: unknown[] = [];
  const reporter = createViewReporter(
    { viewed: (postId, details) => viewed.push([postId, details]) },
    { wallMs: () => now.wallMs, monotonicMs: () => now.monotonicMs },
  );
  reporter.visible("p", 0.7, { surface: "HOME", position: 2 });
  Object.assign(now, { wallMs: 5, monotonicMs: 1_800 });
  reporter.visible("p", 0.1);
  expect(viewed).toEqual([["p", { surface: "HOME", position: 2, at: 1_000_000, dwellMs: 1_800 }]]);
});

test("a list of React Native reports its items, also when the app goes to the background", async () => {
  const viewed: [string, object][] = [];
  const listeners = new Set<(state: string) => void>();
  const appState = {
    addEventListener(_type: "change", listener: (state: string) => void) {
      listeners.add(listener);
      return { remove: () => void listeners.delete(listener) };
    },
  };
  const list = listViews(
    { viewed: (postId, details) => viewed.push([postId, details]) },
    {
      appState,
      postIdOf: (item: { id: string }) => item.id,
      detailsOf: () => ({ surface: "HOME" }),
      durationMs: 1,
    },
  );
  expect(list.viewabilityConfig).toEqual({ itemVisiblePercentThreshold: 50, minimumViewTime: 0 });
  const change = (id: string, isViewable: boolean) =>
    list.onViewableItemsChanged({ changed: [{ item: { id }, index: 4, isViewable }] });
  const moment = async () => {
    const startMs = performance.now();
    while (performance.now() - startMs < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  change("a", true);
  change("b", true);
  await moment();
  change("a", false);
  expect(viewed).toMatchObject([["a", { surface: "HOME", position: 4, dwellMs: expect.any(Number) }]]);
  for (const listener of listeners) listener("background");
  expect(viewed.map(([postId]) => postId)).toEqual(["a", "b"]);
  list.stop();
  expect(listeners.size).toBe(0);
});
