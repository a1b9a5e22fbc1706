import { expect, test } from "vitest";
import type { View } from "../../src/domain/impression.ts";
import { MINUTE_MS, type Window } from "../../src/domain/time.ts";
import type { Position } from "../../src/domain/walk.ts";
import {
  PipelineDocument,
  PostViewersDocument,
  RecordImpressionsDocument,
  SeenPostsDocument,
} from "../../src/generated/operations.ts";
import { query } from "./graphql-request.ts";
import { createOracle, type Oracle } from "./oracle.ts";
import { createRandom, type Random } from "./random.ts";
import { viewOf } from "./views.ts";

/**
 * Walks over GraphQL while impressions arrive through the mutation, held against the rules of docs/semantics.md and not
 * against the implementation: the oracle knows all views, what was given so far, and nothing of cursors or scans.
 *
 * - The first page fixes the bound: just above the newest view in the window, or the window's end.
 * - A page gives what comes next below its last row, as the views are when it is asked for: what arrived in the part
 *   that is yet to walk is there, what is dated at or after the bound changes nothing.
 * - Nothing is repeated. What was there at the start is given, unless a view of it arrived dated inside the part that
 *   was walked by then: the one exception that the rules make.
 */

const SETTLE_TIMEOUT_MS = 60_000;
const PAGES_MAX = 1_000;
/** So many times the seeds asked for are tried at most. */
const SEEDS_FACTOR_MAX = 5;

interface ArrivalFigures {
  walks: number;
  pages: number;
  /** Views that arrived between two pages: dated at or after the bound, in the walked part, in the part to come. */
  newViews: number;
  lateWalked: number;
  lateToCome: number;
  /** Posts (viewers) that the exception left out of a walk. */
  leftOut: number;
}

/**
 * A failure names its seed; `ARRIVALS_FIRST_SEED=<seed> ARRIVALS_SEEDS=1` repeats it.
 *
 * @param open the URL of a running service with workers.
 */
export function testWalksUnderArrival(engine: string, seeds: number, open: () => Promise<string>): void {
  const repeats = process.env.ARRIVALS_SEEDS !== undefined;
  const count = Number(process.env.ARRIVALS_SEEDS ?? seeds);
  test(`${engine}: walks while impressions arrive are what the rules promise`, {
    timeout: 20 * 60_000,
  }, async () => {
    const url = await open();
    const firstSeed = Number(process.env.ARRIVALS_FIRST_SEED ?? Date.now() % 1_000_000);
    console.info(`ARRIVALS_FIRST_SEED=${firstSeed} ARRIVALS_SEEDS=${count}`);
    const figures: ArrivalFigures = {
      walks: 0,
      pages: 0,
      newViews: 0,
      lateWalked: 0,
      lateToCome: 0,
      leftOut: 0,
    };
    // Where a run has not come to everything yet, which is rare, it goes on until it has: or it would hold nothing.
    const isDone = (done: number) =>
      done >= SEEDS_FACTOR_MAX * count ||
      (done >= count && (repeats || Object.values(figures).every((number) => number > 0)));
    for (let seed = firstSeed; !isDone(seed - firstSeed); seed++) {
      try {
        await checkSeed(url, createRandom(seed), `${seed}-${firstSeed}`, figures);
      } catch (error) {
        throw new Error(`ARRIVALS_FIRST_SEED=${seed} ARRIVALS_SEEDS=1: ${String(error)}`, { cause: error });
      }
    }
    console.info(`${engine}: ${JSON.stringify(figures)}`);
    if (repeats) return;
    for (const [what, number] of Object.entries(figures)) expect(number, what).toBeGreaterThan(0);
  });
}

interface World {
  readonly url: string;
  readonly random: Random;
  readonly oracle: Oracle;
  readonly users: readonly string[];
  readonly posts: readonly string[];
  readonly instantsMs: readonly number[];
  received: number;
}

async function checkSeed(url: string, random: Random, name: string, figures: ArrivalFigures): Promise<void> {
  const ids = (kind: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${kind}-${name}-${index}`);
  // Old enough that a view can be dated after all of them, and few, so that many views share one.
  const startMs = Date.now() - random.integer(2, 20_000) * MINUTE_MS;
  const instantsMs = Array.from({ length: random.integer(2, 30) }, () =>
    Math.min(Date.now() - MINUTE_MS, startMs + random.integer(0, random.pick([3, 1_000, 60 * MINUTE_MS]))),
  );
  const world: World = {
    url,
    random,
    oracle: createOracle(),
    users: ids("u", random.integer(1, 12)),
    posts: ids("p", random.integer(1, 25)),
    instantsMs,
    received: 0,
  };
  const views = Array.from({ length: random.integer(1, 150) }, () =>
    randomView(world, random.pick(world.users), random.pick(world.posts), random.pick(instantsMs)),
  );
  await record(world, views);
  for (const kind of [seenPostsWalk(world), postViewersWalk(world)]) await checkWalk(world, kind, figures);
}

/** One of the two walks, in terms of rows that have an id and a time. */
interface WalkKind {
  readonly owner: string;
  expected(window: Window): readonly Row[];
  page(variables: PageVariables): Promise<Page>;
  /** A view that concerns the owner. */
  viewAt(viewedAtMs: number): View;
  idOf(view: View): string;
}

interface Row extends Position {
  /** As the API answers it. */
  readonly node: unknown;
}

interface PageVariables {
  readonly first: number;
  readonly after: string | null;
  readonly since: string | null;
  readonly until: string | null;
}

interface Page {
  readonly nodes: readonly unknown[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor?: string | null | undefined };
}

async function checkWalk(world: World, kind: WalkKind, figures: ArrivalFigures): Promise<void> {
  const { random } = world;
  const edge = () => random.pick(world.instantsMs) + random.integer(-1, 1);
  const sinceMs = random.chance(0.5) ? null : edge();
  const untilMs = random.chance(0.5) ? null : edge();
  const first = random.pick([1, 1, 2, 3, 7, 500]);
  const window = { sinceMs: sinceMs ?? 0, untilMs: untilMs ?? Number.MAX_SAFE_INTEGER };
  const atStart = kind.expected(window);
  const boundMs = Math.min(window.untilMs, (atStart[0]?.viewedAtMs ?? window.untilMs) + 1);
  const walked: Row[] = [];
  const excused = new Set<string>();
  let after: string | null = null;
  figures.walks++;

  for (let pages = 0; ; pages++) {
    expect(pages).toBeLessThan(PAGES_MAX);
    const last = walked.at(-1);
    const toCome = kind
      .expected({ ...window, untilMs: boundMs })
      .filter((row) => last === undefined || isBehind(row, last));
    const page = await kind.page({ first, after, since: instantOf(sinceMs), until: instantOf(untilMs) });
    figures.pages++;
    const given = toCome.slice(0, first);
    expect(page.nodes).toEqual(given.map(({ node }) => node));
    expect(page.pageInfo.hasNextPage).toBe(toCome.length > first);
    walked.push(...given);
    if (!page.pageInfo.hasNextPage) break;
    after = page.pageInfo.endCursor ?? null;
    expect(after).not.toBeNull();

    const end = walked.at(-1);
    const dateOf = random.pick([
      () => boundMs + random.integer(0, 1_000),
      () => random.pick(world.instantsMs),
      () => random.pick(walked).viewedAtMs,
    ]);
    const arrived = Array.from({ length: random.pick([0, 1, 1, 2, 5]) }, () => kind.viewAt(dateOf())).filter(
      (view) => view.viewedAtMs < Date.now(),
    );
    await record(world, arrived);
    for (const view of arrived) {
      const { viewedAtMs } = view;
      const id = kind.idOf(view);
      if (viewedAtMs >= boundMs) figures.newViews++;
      else if (end !== undefined && !isBehind({ viewedAtMs, id }, end)) {
        if (viewedAtMs < window.sinceMs) continue;
        figures.lateWalked++;
        excused.add(id);
      } else figures.lateToCome++;
    }
  }

  const ids = walked.map(({ id }) => id);
  expect(new Set(ids).size, "nothing is repeated").toBe(ids.length);
  const missing = atStart.map(({ id }) => id).filter((id) => !ids.includes(id));
  expect(
    missing.filter((id) => !excused.has(id)),
    "skipped",
  ).toEqual([]);
  figures.leftOut += missing.length;
}

function seenPostsWalk(world: World): WalkKind {
  const owner = world.random.pick(world.users);
  return {
    owner,
    expected: (window) =>
      world.oracle.seenPosts(owner, window).map(({ postId, lastViewedAtMs, ...rest }) => ({
        id: postId,
        viewedAtMs: lastViewedAtMs,
        node: { ...rest, post: { id: postId }, lastViewedAt: instantOf(lastViewedAtMs) },
      })),
    page: async (variables) =>
      (await query(world.url, SeenPostsDocument, { userId: owner, ...variables })).seenPosts,
    viewAt: (viewedAtMs) => randomView(world, owner, world.random.pick(world.posts), viewedAtMs),
    idOf: ({ postId }) => postId,
  };
}

function postViewersWalk(world: World): WalkKind {
  const owner = world.random.pick(world.posts);
  return {
    owner,
    expected: (window) =>
      world.oracle.postViewers(owner, window).map(({ userId, lastViewedAtMs, views }) => ({
        id: userId,
        viewedAtMs: lastViewedAtMs,
        node: { views, user: { id: userId }, lastViewedAt: instantOf(lastViewedAtMs) },
      })),
    page: async (variables) =>
      (await query(world.url, PostViewersDocument, { postId: owner, ...variables })).postViewers,
    viewAt: (viewedAtMs) => randomView(world, world.random.pick(world.users), owner, viewedAtMs),
    idOf: ({ userId }) => userId,
  };
}

function randomView({ random }: World, userId: string, postId: string, viewedAtMs: number): View {
  return viewOf({
    userId,
    postId,
    viewedAtMs,
    surface: random.pick([null, "HOME", "SEARCH"]),
    position: random.pick([null, 0, 7]),
    dwellMs: random.pick([null, 0, 1_500]),
  });
}

/** Sends each user's views in this order, one mutation a user, and resolves when all of them are stored. */
async function record(world: World, views: readonly View[]): Promise<void> {
  for (const [userId, list] of Map.groupBy(views, (view) => view.userId)) {
    const impressions = list.map(({ postId, viewedAtMs, surface, position, dwellMs }) => ({
      postId,
      viewedAt: new Date(viewedAtMs).toISOString(),
      surface,
      position,
      dwellMs,
    }));
    await query(world.url, RecordImpressionsDocument, { input: { userId, impressions } });
    // Of one view sent twice, the one received later stays.
    for (const view of list) world.oracle.add({ ...view, receivedAtUs: world.received++ });
  }
  if (views.length === 0) return;
  await expect
    .poll(async () => (await query(world.url, PipelineDocument, {})).pipeline, {
      timeout: SETTLE_TIMEOUT_MS,
      interval: 2,
    })
    .toMatchObject({ pending: 0, deadLetters: 0 });
}

/** Whether a walk comes to `row` after `last`: older, or by the bytes of its id. */
function isBehind(row: Position, last: Position): boolean {
  if (row.viewedAtMs !== last.viewedAtMs) return row.viewedAtMs < last.viewedAtMs;
  return Buffer.compare(Buffer.from(row.id), Buffer.from(last.id)) < 0;
}

function instantOf(epochMs: number): string;
function instantOf(epochMs: number | null): string | null;
function instantOf(epochMs: number | null): string | null {
  return epochMs === null ? null : new Date(epochMs).toISOString();
}
