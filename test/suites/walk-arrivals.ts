import { expect, test } from "vitest";
import type { View } from "../../src/domain/impression.ts";
import type { Window } from "../../src/domain/time.ts";
import type { Position } from "../../src/domain/walk.ts";
import { PostViewersDocument, SeenPostsDocument } from "../../src/generated/operations.ts";
import { query } from "../kit/graphql-request.ts";
import { createRandom, type Random } from "../kit/random.ts";
import { createWorld, instantOf, randomView, record, type World } from "./arrival-world.ts";

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

async function checkSeed(url: string, random: Random, name: string, figures: ArrivalFigures): Promise<void> {
  const world = await createWorld(url, random, name);
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

/** Whether a walk comes to `row` after `last`: older, or by the bytes of its id. */
function isBehind(row: Position, last: Position): boolean {
  if (row.viewedAtMs !== last.viewedAtMs) return row.viewedAtMs < last.viewedAtMs;
  return Buffer.compare(Buffer.from(row.id), Buffer.from(last.id)) < 0;
}
