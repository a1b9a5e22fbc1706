import type { types } from "cassandra-driver";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { View } from "../../src/domain/impression.ts";
import type { Window } from "../../src/domain/time.ts";
import type { WalkRequest } from "../../src/domain/walk.ts";
import { HistoryTooLongError } from "../../src/ports/errors.ts";
import type { Reads } from "../../src/scylla/database.ts";
import { PACKS_PER_PAGE, PACKS_READ_MAX } from "../../src/scylla/packs/history.ts";
import { createPackDensity, PACKS_OF_PAGE_MAX } from "../../src/scylla/packs/post-views.ts";
import {
  FINEST_SLICE_SECONDS,
  SLICE_LENGTHS_SECONDS,
  type SliceSeconds,
  shardOf,
  sliceAt,
} from "../../src/scylla/slices.ts";
import type { ReadName } from "../../src/scylla/statements.ts";
import { postViewersPage } from "../../src/scylla/walks/post-viewers.ts";
import { seenAmong } from "../../src/scylla/walks/seen-among.ts";
import { seenPostsPage } from "../../src/scylla/walks/seen-posts.ts";
import { chunkFor, isEmpty, SCANNED_ROWS_MAX } from "../../src/scylla/walks/walk-limits.ts";
import { EVERYTHING, viewOf, walkAll } from "../kit/views.ts";
import { createMemoryReads, enterPacks, type MemoryTables, noRows } from "../support/memory-reads.ts";
import { createOracle } from "../support/oracle.ts";

const NOON = Date.UTC(2026, 10, 23, 12);
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Puts a view's rows where writers do, received alone; of a `half` one, what stands there before its commit point. */
function store(
  tables: MemoryTables,
  view: View,
  { seconds = 2_592_000 as SliceSeconds, half = false } = {},
): void {
  enterViewer(tables, view, seconds);
  if (!half) enterPacks(tables, [view]);
}

function enterViewer(
  tables: MemoryTables,
  { userId, postId, viewedAtMs }: View,
  seconds: SliceSeconds,
): void {
  const slice = sliceAt(viewedAtMs, seconds);
  if (
    !tables.markers.some(
      (known) => known.postId === postId && known.seconds === seconds && known.startMs === slice.startMs,
    )
  )
    tables.markers.push({ postId, ...slice });
  const shard = shardOf(seconds, userId);
  const isThere = tables.viewers.some(
    (row) =>
      row.userId === userId &&
      row.postId === postId &&
      row.viewedAtMs === viewedAtMs &&
      row.slice.seconds === seconds,
  );
  if (!isThere) tables.viewers.push({ userId, postId, viewedAtMs, slice, shard });
}

/** One page of viewers. */
function viewersPage(reads: Reads, request: WalkRequest) {
  return postViewersPage(reads, request, { density: createPackDensity() });
}

function readsOf(tables: MemoryTables) {
  const reads = createMemoryReads(tables);
  const density = createPackDensity();
  return {
    reads,
    seenPosts: (ownerId: string, window: Window, limit: number) =>
      walkAll((request) => seenPostsPage(reads, request), { ownerId, window, limit }),
    /** @param rowsKnownMax 0: what the users' histories tell, and not the post's rows. */
    postViewers: (ownerId: string, window: Window, limit: number, rowsKnownMax = 1_000) =>
      walkAll((request) => postViewersPage(reads, request, { density, rowsKnownMax }), {
        ownerId,
        window,
        limit,
      }),
  };
}

/** Some of them have another order in UTF-16 than in UTF-8. */
const IDS = ["a", "aa", "b", "\uff61", "\u{1f600}"] as const;

const anyWorld = fc.array(
  fc.record({
    userId: fc.constantFrom(...IDS),
    postId: fc.constantFrom(...IDS),
    // Few instants, so that there are ties, around the ends of slices of every length.
    viewedAtMs: fc
      .tuple(
        fc.constantFrom(0, MINUTE_MS, 60 * MINUTE_MS, DAY_MS, 30 * DAY_MS, 31 * DAY_MS),
        fc.constantFrom(-MINUTE_MS, -1, 0, 1, MINUTE_MS - 1),
      )
      .map(([far, near]) => NOON + far + near),
    dwellMs: fc.constantFrom(null, 0, 500, 1_000),
    /** The lengths of the slices that hold its viewers row: several where processes went on to finer ones at different times. */
    lengths: fc.subarray([...SLICE_LENGTHS_SECONDS], { minLength: 1 }),
    half: fc.constantFrom(true, false, false, false, false, false),
    /** Views of a user with the same number were received together. */
    submission: fc.nat(8),
    /** It was delivered again, in another grouping. */
    again: fc.boolean(),
  }),
  { maxLength: 60, size: "max" },
);

const anyWindow = fc
  .tuple(fc.integer({ min: -2, max: 33 * 1_440 }), fc.integer({ min: -2, max: 33 * 1_440 }), fc.boolean())
  .map(([a, b, isEverything]) =>
    isEverything
      ? EVERYTHING
      : { sinceMs: NOON + Math.min(a, b) * MINUTE_MS, untilMs: NOON + Math.max(a, b) * MINUTE_MS },
  );

const windows = fc.oneof(
  anyWindow,
  // Ends that lie on views exactly.
  fc
    .tuple(fc.constantFrom(0, 1, MINUTE_MS, DAY_MS), fc.constantFrom(0, 1, MINUTE_MS, DAY_MS))
    .map(([a, b]) => ({ sinceMs: NOON + Math.min(a, b), untilMs: NOON + Math.max(a, b) })),
);

type Made = typeof anyWorld extends fc.Arbitrary<infer World> ? World : never;

/** @param isCold all rows lie in slices of the coarsest length. */
function worldOf(made: Made, isCold = false) {
  const tables = noRows();
  const oracle = createOracle();
  const views = made.map(({ lengths, half, submission, again, ...fields }, index) => ({
    ...{ lengths, half, again },
    view: viewOf({ ...fields, position: index, receivedAtUs: NOON * 1_000 + submission }),
  }));
  for (const { lengths, view } of views)
    for (const seconds of isCold ? [SLICE_LENGTHS_SECONDS[0]] : lengths) enterViewer(tables, view, seconds);
  const stored = views.filter(({ half }) => !half);
  enterPacks(
    tables,
    stored.map(({ view }) => view),
  );
  for (const { view, again } of stored) {
    if (again) enterPacks(tables, [view]);
    oracle.add(view);
  }
  return { tables, oracle };
}

describe("walks over whatever rows there are", () => {
  test("give each post once, at its newest stored view", async () => {
    await fc.assert(
      fc.asyncProperty(anyWorld, windows, fc.integer({ min: 1, max: 6 }), async (made, window, limit) => {
        const { tables, oracle } = worldOf(made);
        const { seenPosts } = readsOf(tables);
        for (const userId of IDS)
          expect(await seenPosts(userId, window, limit)).toEqual(oracle.seenPosts(userId, window));
      }),
      { numRuns: 300 },
    );
  });

  test("give each viewer once, whichever slices hold the rows", async () => {
    await fc.assert(
      fc.asyncProperty(
        anyWorld,
        windows,
        fc.integer({ min: 1, max: 6 }),
        fc.boolean(),
        fc.constantFrom(0, 3, 1_000, 1_000),
        async (made, window, limit, isCold, rowsKnownMax) => {
          const { tables, oracle } = worldOf(made, isCold);
          const { postViewers } = readsOf(tables);
          for (const postId of IDS)
            expect(await postViewers(postId, window, limit, rowsKnownMax)).toEqual(
              oracle.postViewers(postId, window),
            );
        },
      ),
      { numRuns: 300 },
    );
  });

  test("find among candidates what was seen by the rule", async () => {
    const rules = fc.record({
      minViews: fc.constantFrom(1, 2, 3),
      minDwellMs: fc.constantFrom(0, 1, 500, 1_000),
      sinceMs: fc.constantFrom(0, NOON, NOON + 1, NOON + DAY_MS),
    });
    await fc.assert(
      fc.asyncProperty(anyWorld, rules, async (made, rule) => {
        const { tables, oracle } = worldOf(made);
        const { reads } = readsOf(tables);
        for (const userId of IDS)
          expect(await seenAmong(reads, userId, [...IDS, "none"], rule)).toEqual(
            oracle.seenAmong(userId, [...IDS], rule),
          );
      }),
      { numRuns: 200 },
    );
  });
});

describe("a page's bound", () => {
  test("lies just above the newest row that the first page saw, and not above the window's end", async () => {
    const tables = noRows();
    for (const minutes of [0, 1, 2])
      store(tables, viewOf({ userId: "u", postId: `p${minutes}`, viewedAtMs: NOON + minutes * MINUTE_MS }));
    store(tables, viewOf({ userId: "u", postId: "p2", viewedAtMs: NOON + 3 * MINUTE_MS }), { half: true });
    const { reads } = readsOf(tables);
    const page = (window: Window, ownerId = "u") =>
      seenPostsPage(reads, { ownerId, window, after: null, limit: 2 });
    expect((await page(EVERYTHING)).boundMs).toBe(NOON + 2 * MINUTE_MS + 1);
    expect((await page({ sinceMs: 0, untilMs: NOON + 2 * MINUTE_MS + 1 })).boundMs).toBe(
      NOON + 2 * MINUTE_MS + 1,
    );
    expect((await page({ sinceMs: 0, untilMs: NOON + 2 * MINUTE_MS })).boundMs).toBe(NOON + MINUTE_MS + 1);
    expect((await page(EVERYTHING, "nobody")).boundMs).toBe(EVERYTHING.untilMs);
    const viewers = (window: Window, ownerId: string) =>
      viewersPage(reads, { ownerId, window, after: null, limit: 2 });
    expect((await viewers(EVERYTHING, "p2")).boundMs).toBe(NOON + 3 * MINUTE_MS + 1);
    expect((await viewers(EVERYTHING, "none")).boundMs).toBe(EVERYTHING.untilMs);
  });

  test("is the first page's on every later page", async () => {
    const tables = noRows();
    for (let post = 0; post < 5; post++)
      store(tables, viewOf({ userId: "u", postId: `p${post}`, viewedAtMs: NOON + post }));
    const { reads } = readsOf(tables);
    const first = await seenPostsPage(reads, {
      ownerId: "u",
      window: EVERYTHING,
      after: null,
      limit: 2,
    });
    const window = { ...EVERYTHING, untilMs: first.boundMs };
    store(tables, viewOf({ userId: "u", postId: "p0", viewedAtMs: NOON + 100 }));
    const second = await seenPostsPage(reads, {
      ownerId: "u",
      window,
      after: first.next,
      limit: 9,
    });
    expect(second.rows.map(({ postId }) => postId)).toEqual(["p2", "p1", "p0"]);
    expect(second.boundMs).toBe(first.boundMs);
    expect(second.next).toBeNull();
  });
});

describe("the reads of a page", () => {
  test("are none where the window is empty", async () => {
    const { reads } = readsOf(noRows());
    const window = { sinceMs: NOON, untilMs: NOON };
    for (const page of [seenPostsPage, viewersPage])
      expect(await page(reads, { ownerId: "x", window, after: null, limit: 5 })).toEqual({
        rows: [],
        boundMs: NOON,
        next: null,
      });
    expect(reads.asked).toEqual([]);
    expect([
      isEmpty(window),
      isEmpty({ sinceMs: NOON, untilMs: NOON + 1 }),
      isEmpty({ sinceMs: NOON + 1, untilMs: NOON }),
    ]).toEqual([true, false, true]);
  });

  test("ask for half as many rows again and one, within bounds, and twice as many each round", () => {
    expect([chunkFor(1, 0), chunkFor(50, 0), chunkFor(500, 0)]).toEqual([25, 77, 500]);
    expect([0, 1, 2, 3].map((round) => chunkFor(30, round))).toEqual([47, 94, 188, 376]);
    expect([5, 6, 60].map((round) => chunkFor(1, round))).toEqual([96, 96, 96]);
  });

  test("end at a number of rows, whatever they give, and the next page goes on there", async () => {
    const tables = noRows();
    for (let row = 1; row <= SCANNED_ROWS_MAX + 500; row++)
      store(tables, viewOf({ userId: "u", postId: "half", viewedAtMs: NOON + row }), { half: true });
    const { reads, postViewers } = readsOf(tables);
    const request = { window: EVERYTHING, after: null, limit: 10 };
    const viewers = await viewersPage(reads, { ...request, ownerId: "half" });
    expect(viewers.rows).toEqual([]);
    expect(viewers.next).toEqual({ viewedAtMs: NOON + 501, id: "u" });
    expect(await postViewers("half", EVERYTHING, 10)).toEqual([]);
  });

  test("is only the newest slices of a hot post, more at a time where they hold little", async () => {
    const tables = noRows();
    for (let minute = 0; minute < 40; minute++)
      for (let viewer = 0; viewer < 40; viewer++)
        store(
          tables,
          viewOf({
            userId: `u${minute}-${viewer}`,
            postId: "hot",
            viewedAtMs: NOON + minute * MINUTE_MS + viewer,
          }),
          { seconds: FINEST_SLICE_SECONDS },
        );
    const { reads, postViewers } = readsOf(tables);
    const page = await viewersPage(reads, {
      ownerId: "hot",
      window: EVERYTHING,
      after: null,
      limit: 30,
    });
    expect(page.rows).toHaveLength(30);
    // One slice of four shards, and the one below it, to know that nothing in it is newer.
    expect(reads.asked.filter(({ statement }) => statement === "readViewers").length).toBeLessThanOrEqual(16);
    expect((await postViewers("hot", EVERYTHING, 500)).length).toBe(1_600);
  });

  test("pauses after many empty slices, and the next page goes on there", async () => {
    const tables = noRows();
    for (let minute = 0; minute < 200; minute++)
      tables.markers.push({ postId: "hot", ...sliceAt(NOON + minute * MINUTE_MS, FINEST_SLICE_SECONDS) });
    store(tables, viewOf({ userId: "u", postId: "hot", viewedAtMs: NOON }), {
      seconds: FINEST_SLICE_SECONDS,
    });
    const { reads, postViewers } = readsOf(tables);
    const first = await viewersPage(reads, {
      ownerId: "hot",
      window: EVERYTHING,
      after: null,
      limit: 10,
    });
    expect(first.rows).toEqual([]);
    const opened = reads.asked.filter(({ statement }) => statement === "readViewers").length;
    expect(opened).toBeGreaterThanOrEqual(256);
    expect(opened).toBeLessThan(256 + 4 * 8);
    expect(first.next).toEqual({ viewedAtMs: first.boundMs, id: "" });
    expect(await postViewers("hot", EVERYTHING, 10)).toEqual([
      { userId: "u", lastViewedAtMs: NOON, views: 1 },
    ]);
    const second = await viewersPage(reads, {
      ownerId: "hot",
      window: { ...EVERYTHING, untilMs: first.boundMs },
      after: first.next,
      limit: 10,
    });
    expect(second.boundMs).toBe(first.boundMs);
    expect(second.next === null || second.next.viewedAtMs < first.boundMs).toBe(true);
  });

  test("reads more than one page of markers", async () => {
    const tables = noRows();
    for (let day = 0; day < 90; day++)
      store(tables, viewOf({ userId: `u${day}`, postId: "p", viewedAtMs: NOON - day * DAY_MS }), {
        seconds: 86_400,
      });
    const { reads, postViewers } = readsOf(tables);
    expect((await postViewers("p", EVERYTHING, 500)).map(({ userId }) => userId)).toEqual(
      Array.from({ length: 90 }, (_, day) => `u${day}`),
    );
    const pages = reads.asked.filter(
      ({ statement, parameters }) => statement === "readSliceMarkers" && parameters[1] === 86_400,
    );
    expect(pages.map(({ rows }) => rows)).toEqual([64, 26]);
  });

  test("finds a slice that begins before the window and reaches into it", async () => {
    const tables = noRows();
    const view = viewOf({ userId: "u", postId: "p", viewedAtMs: NOON });
    store(tables, view);
    const { postViewers } = readsOf(tables);
    expect(await postViewers("p", { sinceMs: NOON, untilMs: NOON + 1 }, 5)).toHaveLength(1);
    expect(await postViewers("p", { sinceMs: NOON + 1, untilMs: NOON + 2 }, 5)).toHaveLength(0);
  });
});

describe("walks over many slices that hold little", () => {
  test("skip no viewer where pages end for the number of slices, whatever lengths they have", async () => {
    const lengthOf = { 60: 150, 3600: 150, 86400: 80 } as const;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom<SliceSeconds>(60, 3_600, 86_400), fc.nat(79), fc.nat(59)), {
          maxLength: 12,
        }),
        fc.integer({ min: 1, max: 4 }),
        async (rows, limit) => {
          const tables = noRows();
          const oracle = createOracle();
          for (const [seconds, count] of Object.entries(lengthOf))
            for (let slice = 0; slice < count; slice++)
              tables.markers.push({
                postId: "p",
                ...sliceAt(NOON + slice * Number(seconds) * 1_000, Number(seconds) as SliceSeconds),
              });
          for (const [index, [seconds, slice, second]] of rows.entries()) {
            const view = viewOf({
              userId: `u${index}`,
              postId: "p",
              viewedAtMs: NOON + (slice * seconds + second) * 1_000,
            });
            store(tables, view, { seconds });
            oracle.add(view);
          }
          const { postViewers } = readsOf(tables);
          expect(await postViewers("p", EVERYTHING, limit)).toEqual(oracle.postViewers("p", EVERYTHING));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("find a viewer of the cursor's own instant in a slice that begins there", async () => {
    for (const seconds of SLICE_LENGTHS_SECONDS) {
      const tables = noRows();
      // The coarsest slices begin at no round date.
      const { startMs } = sliceAt(NOON, seconds);
      store(tables, viewOf({ userId: "b", postId: "p", viewedAtMs: startMs }), { seconds: 2_592_000 });
      store(tables, viewOf({ userId: "a", postId: "p", viewedAtMs: startMs }), { seconds });
      // At hand at once, and older: it must not come before the slice is looked into.
      store(tables, viewOf({ userId: "c", postId: "p", viewedAtMs: startMs - 1 }), { seconds: 2_592_000 });
      const { postViewers } = readsOf(tables);
      expect((await postViewers("p", EVERYTHING, 1)).map(({ userId }) => userId)).toEqual(["b", "a", "c"]);
    }
  });
});

describe("counts of one post or user", () => {
  /** So many views of each post, a second apart, ten to a submission. */
  function world(viewsOf: Readonly<Record<string, number>>): MemoryTables {
    const tables = noRows();
    for (const [postId, views] of Object.entries(viewsOf))
      for (let first = 0; first < views; first += 10)
        enterPacks(
          tables,
          Array.from({ length: Math.min(10, views - first) }, (_, index) =>
            viewOf({
              userId: "u",
              postId,
              viewedAtMs: NOON + (first + index) * 1_000,
              receivedAtUs: NOON * 1_000 + first,
              position: first + index,
              dwellMs: index % 2 === 0 ? 1_000 : 0,
            }),
          ),
        );
    return tables;
  }

  test("end at 1,000, and those of the other posts are right whatever the first has", async () => {
    const viewsOf = { a: 1_500, b: 999, c: 1_000, d: 1, e: 1_099, f: 1_100, g: 3 };
    const { seenPosts } = readsOf(world(viewsOf));
    const found = await seenPosts("u", EVERYTHING, 3);
    expect(
      new Map(
        found.map(({ postId, views, position, lastViewedAtMs }) => [
          postId,
          [views, position, lastViewedAtMs],
        ]),
      ),
    ).toEqual(
      new Map(
        Object.entries(viewsOf).map(([postId, views]) => [
          postId,
          [Math.min(views, 1_000), views - 1, NOON + (views - 1) * 1_000],
        ]),
      ),
    );
  });

  test("of viewers end at 1,000 too, whether the post's rows or the users' histories tell", async () => {
    for (const others of [0, 1_200]) {
      const tables = noRows();
      for (const [userId, views] of [
        ["a", 400],
        ["b", 5],
        ["c", others],
      ] as const)
        for (let view = 0; view < views; view++)
          store(tables, viewOf({ userId, postId: "p", viewedAtMs: NOON + view }));
      const { postViewers } = readsOf(tables);
      const found = await postViewers("p", EVERYTHING, 2);
      expect(new Map(found.map(({ userId, views }) => [userId, views]))).toEqual(
        new Map([["a", 400], ["b", 5], ...(others === 0 ? [] : [["c", 1_000] as const])]),
      );
    }
  });

  test("of a rule are of the views that it lets count", async () => {
    const { reads } = readsOf(world({ often: 1_400, twice: 4, once: 1 }));
    const seen = (minViews: number, minDwellMs: number, sinceMs = 0) =>
      seenAmong(reads, "u", ["often", "twice", "once", "none"], { minViews, minDwellMs, sinceMs });
    expect(await seen(1, 0)).toEqual(new Set(["often", "twice", "once"]));
    expect(await seen(2, 0)).toEqual(new Set(["often", "twice"]));
    expect(await seen(2, 1)).toEqual(new Set(["often", "twice"]));
    expect(await seen(3, 1)).toEqual(new Set(["often"]));
    expect(await seen(1_000, 0)).toEqual(new Set(["often"]));
    expect(await seen(1, 1_001)).toEqual(new Set());
    expect(await seen(1, 0, NOON + 1)).toEqual(new Set(["often", "twice"]));
  });
});

describe("a history without an end", () => {
  /** Every page of every user's packs is full. */
  function endlessReads(): Reads & { pagesRead: number } {
    const tables = noRows();
    store(tables, viewOf({ userId: "u", postId: "p", viewedAtMs: NOON }));
    const [pack] = tables.packs;
    const columns: Readonly<Record<string, unknown>> = {
      user_id: "u",
      newest_at: new Date(NOON),
      pack_id: pack?.id,
      pack: pack?.bytes,
      received_at_us: pack?.receivedAtUs,
    };
    const row = { get: (column: string) => columns[column] } as unknown as types.Row;
    const { read } = createMemoryReads(tables);
    const reads = {
      pagesRead: 0,
      read,
      async *pages(_statement: ReadName, _parameters: readonly unknown[], pageRows: number) {
        for (;;) {
          reads.pagesRead++;
          yield Array.from({ length: pageRows }, () => row);
        }
      },
    };
    return reads;
  }

  test("is refused after 100,000 packs, and read no further than a question needs", async () => {
    const among = (reads: Reads, postIds: readonly string[], minViews = 1) =>
      seenAmong(reads, "u", postIds, { minViews, minDwellMs: 0, sinceMs: 0 });
    const request = { window: EVERYTHING, after: null, limit: 5 };
    for (const [ask, packsMax] of [
      [(reads: Reads) => among(reads, ["none"]), PACKS_READ_MAX],
      [(reads: Reads) => among(reads, ["p"], 2), PACKS_READ_MAX],
      [(reads: Reads) => seenPostsPage(reads, { ...request, ownerId: "u" }), PACKS_READ_MAX],
      [
        (reads: Reads) =>
          postViewersPage(
            reads,
            { ...request, ownerId: "p" },
            { density: createPackDensity(), rowsKnownMax: 0 },
          ),
        PACKS_OF_PAGE_MAX,
      ],
    ] as const) {
      const reads = endlessReads();
      await expect(ask(reads)).rejects.toThrow(HistoryTooLongError);
      expect(reads.pagesRead).toBe(packsMax / PACKS_PER_PAGE + 1);
    }
    const reads = endlessReads();
    expect(await among(reads, ["p"])).toEqual(new Set(["p"]));
    expect(reads.pagesRead).toBe(1);
  });
});
