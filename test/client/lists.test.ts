import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { listViews } from "../../client/src/react-native.ts";
import { type Cell, createList, RELEASES } from "./support/list.ts";

/** The props for lists, driven by React Native's own helper. */

const SCREEN = 800;
const HALF_AN_HOUR_MS = 1_800_000;

interface Post {
  readonly id: string;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "Date", "setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function createViews(postIdOf: (item: never) => unknown = ({ id }: Post) => id) {
  const viewed: [postId: string, position: number | undefined, dwellMs: number | undefined][] = [];
  const states = new Set<(state: string) => void>();
  const views = listViews(
    { viewed: (postId, { position, dwellMs }) => viewed.push([postId, position, dwellMs]) },
    {
      appState: {
        addEventListener(_type, listener) {
          states.add(listener);
          return { remove: () => void states.delete(listener) };
        },
      },
      postIdOf: postIdOf as (item: unknown) => string,
    },
  );
  const state = (to: string) => {
    for (const listener of states) listener(to);
  };
  const listeners = () => states.size;
  return { views, viewed, state, listeners, seen: () => viewed.map(([postId]) => postId) };
}

const cell = (id: string, height: number, key = id): Cell => ({ item: { id }, key, height });
const pass = (durationMs: number) => void vi.advanceTimersByTime(durationMs);

describe.each(RELEASES)("%s", (release) => {
  test("a post with half of it on the screen for a second is seen, with its place and duration", () => {
    const { views, viewed } = createViews();
    const list = createList(release, views.viewabilityConfigCallbackPairs, SCREEN);
    list.items = ["a", "b", "c", "d", "e"].map((id) => cell(id, 300));
    list.update();
    pass(1_200);
    list.scrollTo(700);
    expect(viewed).toEqual([
      ["a", 0, 1_200],
      ["b", 1, 1_200],
    ]);
    // Two thirds of "c" were there from the beginning; "d" and "e" have come for too short.
    pass(900);
    views.stop();
    expect(viewed.slice(2)).toEqual([["c", 2, 2_100]]);
  });

  test.each([
    ["2.5 screens", 2.5 * SCREEN],
    ["11 screens", 11 * SCREEN],
    ["just over two screens", 2 * SCREEN + 1],
  ])("a post of %s is seen by the share of the screen that it fills", (_height, height) => {
    const { views, seen } = createViews();
    const list = createList(release, views.viewabilityConfigCallbackPairs, SCREEN);
    list.items = [cell("before", 100), cell("tall", height), cell("after", 100)];
    for (const offset of [0, 100, 300, 600, height / 2]) {
      list.scrollTo(offset);
      pass(500);
    }
    views.stop();
    expect(seen()).toContain("tall");
  });

  test("a post that is pinned and in the feed is one view, for as long as either of them is visible", () => {
    const { views, viewed } = createViews();
    const list = createList(release, views.viewabilityConfigCallbackPairs, SCREEN);
    list.items = [
      cell("p", 400, "pinned"),
      cell("x", 200),
      cell("p", 400, "feed"),
      cell("y", 1_000),
      cell("z", 900),
    ];
    list.update();
    pass(700);
    // The pinned one has gone.
    list.scrollTo(450);
    pass(700);
    list.scrollTo(1_200);
    expect(viewed.filter(([postId]) => postId === "p")).toEqual([["p", 0, 1_400]]);
  });

  test("a list that moves all the time reports what it has shown for long enough", () => {
    const { views, seen } = createViews();
    expect(views.viewabilityConfig.minimumViewTime).toBe(0);
    const list = createList(release, views.viewabilityConfigCallbackPairs, SCREEN);
    list.items = Array.from({ length: 40 }, (_, index) => cell(`p${index}`, 200));
    // One post comes and one goes every 400 ms: each is there for a second and more.
    for (let offset = 0; offset < 4_000; offset += 100) {
      list.scrollTo(offset);
      pass(200);
    }
    views.stop();
    expect(seen().length).toBeGreaterThan(10);
  });

  test("items that come into the list while the app is in the background count from its return on", () => {
    const { views, viewed, state } = createViews();
    const list = createList(release, views.viewabilityConfigCallbackPairs, SCREEN);
    list.items = [cell("a", 300)];
    list.update();
    pass(1_200);
    state("background");
    list.items = [cell("a", 300), cell("b", 300)];
    list.update();
    views.showAgain();
    pass(5_000);
    state("active");
    pass(1_100);
    views.stop();
    expect(viewed).toEqual([
      ["a", 0, 1_200],
      ["b", 1, 1_100],
    ]);
  });

  test("items that come into the list while another screen is in front count from the return on", () => {
    const { views, viewed } = createViews();
    const list = createList(release, views.viewabilityConfigCallbackPairs, SCREEN);
    views.hideAll();
    list.items = [cell("a", 300)];
    list.update();
    pass(5_000);
    views.showAgain();
    pass(1_100);
    views.stop();
    expect(viewed).toEqual([["a", 0, 1_100]]);
  });

  test("headers and footers of sections are no posts, however the list tells of them", () => {
    for (const converts of [true, false]) {
      const { views, viewed } = createViews();
      const section = { id: "news", data: [{ id: "a" }, { id: "b" }] };
      // A SectionList gives its tokens the section and the index in it; the pairs go past it to the list below.
      const tokenOf = (token: { readonly key: string }) =>
        converts
          ? {
              ...token,
              section,
              index: token.key.endsWith("er") ? null : section.data.findIndex(({ id }) => id === token.key),
            }
          : token;
      const list = createList(release, views.viewabilityConfigCallbackPairs, SCREEN, tokenOf);
      list.items = [
        { item: section, key: "news:header", height: 100 },
        cell("a", 200),
        cell("b", 200),
        { item: section, key: "news:footer", height: 100 },
      ];
      list.update();
      pass(1_500);
      views.stop();
      expect(viewed.map(([postId, position]) => [postId, position])).toEqual(
        converts
          ? [
              ["a", 0],
              ["b", 1],
            ]
          : [
              ["a", 1],
              ["b", 2],
            ],
      );
    }
  });

  test("items without a height, without an id, and an id that throws are passed over", () => {
    const { views, seen } = createViews((item: { id: string } | null) => (item as { id: string }).id);
    const list = createList(release, views.viewabilityConfigCallbackPairs, SCREEN);
    list.items = [
      cell("flat", 0),
      { item: null, key: "null", height: 200 },
      { item: {}, key: "empty", height: 200 },
      cell("post", 200),
    ];
    list.update();
    pass(1_500);
    views.stop();
    expect(seen()).toEqual(["post"]);
  });

  test("an emptied list, of which the list says nothing, has ended", () => {
    const { views, viewed } = createViews();
    const list = createList(release, views.viewabilityConfigCallbackPairs, SCREEN);
    list.items = [cell("a", 300), cell("b", 300)];
    list.update();
    views.itemsChanged([{ id: "a" }, { id: "b" }]);
    pass(1_500);
    list.items = [];
    list.update();
    expect(viewed).toEqual([]);
    views.itemsChanged([]);
    expect(viewed).toEqual([
      ["a", 0, 1_500],
      ["b", 1, 1_500],
    ]);
    pass(5_000);
    views.stop();
    expect(viewed).toHaveLength(2);
  });

  test("a screen that comes back: the same posts count again", () => {
    const { views, seen, state } = createViews();
    const list = createList(release, views.viewabilityConfigCallbackPairs, SCREEN);
    list.items = [cell("a", 300), cell("b", 300)];
    list.update();
    pass(1_500);
    views.hideAll();
    expect(seen()).toEqual(["a", "b"]);
    // Another screen is in front; that the app comes back does not bring this one.
    state("background");
    pass(HALF_AN_HOUR_MS);
    state("active");
    pass(1_500);
    state("background");
    expect(seen()).toEqual(["a", "b"]);
    state("active");
    views.showAgain();
    pass(1_500);
    views.hideAll();
    expect(seen()).toEqual(["a", "b", "a", "b"]);
    views.stop();
    expect(seen()).toHaveLength(4);
  });

  test("a list whose effects run again, as StrictMode and Fast Refresh do it, counts on and still hears the app", () => {
    const { views, viewed, state, listeners } = createViews();
    const list = createList(release, views.viewabilityConfigCallbackPairs, SCREEN);
    list.items = [cell("a", 300)];
    list.update();
    views.showAgain();
    expect(listeners(), "no second listener of a list that has one").toBe(1);
    pass(1_500);
    views.stop();
    expect(listeners()).toBe(0);
    pass(5_000);
    views.showAgain();
    expect(listeners()).toBe(1);
    list.items = [cell("a", 300), cell("b", 300)];
    list.update();
    pass(HALF_AN_HOUR_MS);
    state("background");
    expect(viewed).toEqual([
      ["a", 0, 1_500],
      ["b", 1, HALF_AN_HOUR_MS],
    ]);
    pass(HALF_AN_HOUR_MS);
    state("active");
    pass(1_500);
    views.stop();
    views.stop();
    expect(viewed.slice(2), "what was visible before the first stop still is").toEqual([
      ["a", 0, 1_500],
      ["b", 1, 1_500],
    ]);
    expect(listeners()).toBe(0);
  });
});

test("React Native 0.88 forgets an item's time when another one moves, which is why the list's own second is not used", () => {
  const told = new Map<string, number>();
  for (const release of RELEASES) {
    told.set(release, 0);
    const list = createList(
      release,
      [
        {
          viewabilityConfig: { itemVisiblePercentThreshold: 50, minimumViewTime: 1_000 },
          onViewableItemsChanged: () => void told.set(release, (told.get(release) ?? 0) + 1),
        },
      ],
      SCREEN,
    );
    list.items = Array.from({ length: 40 }, (_, index) => cell(`p${index}`, 200));
    for (let offset = 0; offset < 4_000; offset += 100) {
      list.scrollTo(offset);
      pass(200);
    }
  }
  expect(told.get("virtualized-lists-079")).toBeGreaterThan(0);
  expect(told.get("virtualized-lists-088")).toBe(0);
});
