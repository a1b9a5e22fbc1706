import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { identityOf, type View } from "../../src/domain/impression.ts";
import type { Window } from "../../src/domain/time.ts";
import { DAY_MS } from "../../src/domain/time.ts";
import { detailsRank, laterReceived } from "../../src/domain/versions.ts";
import { unseenAmong } from "../../src/domain/walk.ts";
import type { ImpressionStore } from "../../src/ports/impression-store.ts";
import { createRandom, type Random } from "../kit/random.ts";
import { EVERYTHING, recordHalf, recordViews, viewOf, walkAll } from "../kit/views.ts";
import { createOracle, type Oracle } from "../support/oracle.ts";
import type { StoreContract } from "./store/index.ts";

/**
 * The randomized model test: seeded random histories, written the way workers write them and worse (twice, in any
 * order, cut off between the two steps), and every question compared with an oracle that looks at all views in memory.
 *
 * A failure names its seed; `MODEL_FIRST_SEED=<seed> MODEL_SEEDS=1` repeats it.
 */
const SEEDS = Number(process.env.MODEL_SEEDS ?? 200);
const FIRST_SEED = Number(process.env.MODEL_FIRST_SEED ?? 1);
/** Walks and rules that are compared for each seed. */
const WALKS_PER_SEED = 8;
const RULES_PER_SEED = 4;
const RETENTION_MS = 90 * DAY_MS;

/** Ends of ids: UTF-16 and UTF-8 order some of them differently, some begin with others, some look alike. */
const ID_ENDS = [
  "",
  "0",
  "00",
  "A",
  "a",
  "b",
  "~",
  "é",
  "e\u0301",
  "\u07ff",
  "\u0800",
  "\ud7ff",
  "\ue000",
  "\uff61",
  "\uffee",
  "\ufffd",
  "\u{10000}",
  "\u{1f600}",
  "\u{1f600}\uff61",
  "\u{10ffff}",
];

export function storeModel(contract: StoreContract): void {
  describe(`${contract.name}: ImpressionStore against the model`, () => {
    let opened: Awaited<ReturnType<StoreContract["open"]>>;
    beforeAll(async () => {
      opened = await contract.open({ retentionMs: RETENTION_MS });
    });
    afterAll(() => opened.dispose());

    it(`answers as the oracle does for ${SEEDS} seeds from ${FIRST_SEED}`, { timeout: 600_000 }, async () => {
      for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
        try {
          await checkSeed(opened.store, seed);
        } catch (error) {
          throw new Error(`seed ${seed} (MODEL_FIRST_SEED=${seed} MODEL_SEEDS=1): ${String(error)}`, {
            cause: error,
          });
        }
      }
    });
  });
}

/** The parts of a seed's data. The ids contain the seed, so that one store serves all seeds. */
interface World {
  readonly random: Random;
  readonly users: readonly string[];
  readonly posts: readonly string[];
  readonly instantsMs: readonly number[];
  /** When submissions were received: half of the views came in one of them. */
  readonly receptionsUs: readonly number[];
  /** The newest instant of any view that was written, wholly or in half: no walk's bound lies above it. */
  newestWrittenMs: number;
}

async function checkSeed(store: ImpressionStore, seed: number): Promise<void> {
  const random = createRandom(seed);
  const world = createWorld(random, seed);
  const oracle = createOracle();
  await writeHistory(store, oracle, world);
  for (let walk = 0; walk < WALKS_PER_SEED; walk++) {
    if (random.chance(0.5)) await checkSeenPosts(store, oracle, world);
    else await checkPostViewers(store, oracle, world);
  }
  for (let rule = 0; rule < RULES_PER_SEED; rule++) await checkUnseen(store, oracle, world);
}

function createWorld(random: Random, seed: number): World {
  const idsOf = (kind: string, count: number) =>
    random
      .shuffle(ID_ENDS)
      .slice(0, count)
      .map((end) => `${kind}${seed}-${end}`);
  const startMs = Math.floor(Date.now() - random.integer(2, 80) * DAY_MS);
  // From all in one millisecond to weeks apart; few instants, so that many views share one.
  const spreadMs = random.pick([0, 2, 50, 60_000, DAY_MS, 20 * DAY_MS]);
  const latestMs = Date.now() - DAY_MS;
  const instantsMs = Array.from({ length: random.integer(1, 25) }, () =>
    Math.min(latestMs, startMs + random.integer(0, spreadMs)),
  );
  return {
    random,
    users: idsOf("u", random.integer(1, 8)),
    posts: idsOf("p", random.integer(1, 12)),
    instantsMs,
    receptionsUs: Array.from(
      { length: random.integer(1, 6) },
      () => Math.max(...instantsMs) * 1_000 + random.integer(0, 60_000_000),
    ),
    newestWrittenMs: Math.max(...instantsMs),
  };
}

/**
 * Writes a history in waves, each of them in no order: what is in one wave arrives at once. Now and then a user is erased
 * between two waves: what was received until then is gone, and stays out, whenever it comes.
 */
async function writeHistory(store: ImpressionStore, oracle: Oracle, world: World): Promise<void> {
  const { random } = world;
  const versions = new Map<string, View>();
  const views = Array.from({ length: random.integer(1, 120) }, () => randomView(world, versions));
  const lost = views.filter(() => random.chance(0.15));
  // Of a lost view all copies are lost; other versions of it may be written.
  const written = views.filter((view) => !lost.includes(view));
  const waves = Map.groupBy(random.shuffle([...written, ...written.filter(() => random.chance(0.3))]), () =>
    random.integer(1, 3),
  );
  const halves = recordHalf(store, lost);
  for (const wave of waves.values()) {
    if (random.chance(0.15)) {
      const userId = random.pick(world.users);
      const throughUs = random.pick([...world.receptionsUs, random.pick(world.instantsMs) * 1_000]);
      await store.eraseUser(userId, throughUs);
      oracle.erase(userId, throughUs);
    }
    const cutOff = wave.filter(() => random.chance(0.1));
    await recordHalf(store, cutOff);
    await recordViews(store, random.chance(0.5) ? wave : withoutOlderVersions(wave));
  }
  await halves;
  for (const view of written) oracle.add(view);
  // Half-finished writes are sometimes repeated, which completes them.
  const repeated = lost.filter(() => random.chance(0.3));
  await recordViews(store, repeated);
  for (const view of repeated) oracle.add(view);
}

/** Merges versions of one view as a worker does. */
function withoutOlderVersions(views: readonly View[]): View[] {
  const newest = new Map<string, View>();
  for (const view of views) {
    const key = identityOf(view);
    const known = newest.get(key);
    newest.set(key, known === undefined ? view : laterReceived(known, view));
  }
  return [...newest.values()];
}

/**
 * A view; now and then another version of one that exists, also with its receivedAt: never with the same rank then (it
 * is another in all but one case in 2,880).
 */
function randomView(
  { random, users, posts, instantsMs, receptionsUs }: World,
  versions: Map<string, View>,
): View {
  const base = {
    userId: random.pick(users),
    postId: random.pick(posts),
    viewedAtMs: random.pick(instantsMs),
  };
  const view = viewOf({
    ...base,
    receivedAtUs: random.chance(0.5)
      ? random.pick(receptionsUs)
      : base.viewedAtMs * 1_000 + random.pick([0, 1, random.integer(0, 20_000)]),
    surface: random.pick([null, "HOME", "SEARCH", "\u{1f600}"]),
    position: random.pick([null, 0, 1, 100_000]),
    dwellMs: random.pick([null, 0, 500, 1_000, 60_000]),
  });
  const version = `${identityOf(view)}\u0000${view.receivedAtUs}\u0000${detailsRank(view)}`;
  const known = versions.get(version);
  if (known !== undefined) return known;
  versions.set(version, view);
  return view;
}

async function checkSeenPosts(store: ImpressionStore, oracle: Oracle, world: World): Promise<void> {
  const ownerId = world.random.pick(world.users);
  const window = randomWindow(world);
  const expected = oracle.seenPosts(ownerId, window);
  const rows = await walkAll(
    (request) => store.seenPosts(request),
    { ownerId, window, limit: randomLimit(world.random) },
    (page) =>
      disturb(store, oracle, world, window, page, (viewedAtMs) => ({
        userId: ownerId,
        postId: world.random.pick(world.posts),
        viewedAtMs,
      })),
  );
  expect(rows, `seenPosts of ${ownerId} in ${JSON.stringify(window)}`).toEqual(expected);
}

async function checkPostViewers(store: ImpressionStore, oracle: Oracle, world: World): Promise<void> {
  const ownerId = world.random.pick(world.posts);
  const window = randomWindow(world);
  const expected = oracle.postViewers(ownerId, window);
  const rows = await walkAll(
    (request) => store.postViewers(request),
    { ownerId, window, limit: randomLimit(world.random) },
    (page) =>
      disturb(store, oracle, world, window, page, (viewedAtMs) => ({
        userId: world.random.pick(world.users),
        postId: ownerId,
        viewedAtMs,
      })),
  );
  expect(rows, `postViewers of ${ownerId} in ${JSON.stringify(window)}`).toEqual(expected);
}

/** Between two pages of a walk something new is seen, dated at the walk's bound or after it: it may change nothing. */
async function disturb(
  store: ImpressionStore,
  oracle: Oracle,
  world: World,
  window: Window,
  { boundMs }: { readonly boundMs: number },
  identityAt: (viewedAtMs: number) => Pick<View, "userId" | "postId" | "viewedAtMs">,
): Promise<void> {
  expect(boundMs).toBeLessThanOrEqual(Math.min(window.untilMs, world.newestWrittenMs + 1));
  if (!world.random.chance(0.3)) return;
  const viewedAtMs = boundMs + world.random.integer(0, 3);
  // A version received later than any that the seed's history holds for this instant.
  const view = { ...viewOf(identityAt(viewedAtMs)), receivedAtUs: viewedAtMs * 1_000 + 30_000 };
  await recordViews(store, [view]);
  oracle.add(view);
  world.newestWrittenMs = Math.max(world.newestWrittenMs, viewedAtMs);
}

async function checkUnseen(store: ImpressionStore, oracle: Oracle, world: World): Promise<void> {
  const { random, posts, users, instantsMs } = world;
  const userId = random.pick(users);
  const candidates = random.shuffle([
    ...posts,
    ...posts.filter(() => random.chance(0.3)),
    `p-unknown-${userId}`,
  ]);
  const rule = {
    minViews: random.pick([1, 1, 2, 3]),
    minDwellMs: random.pick([0, 0, 1, 500, 1_000, 1_001]),
    sinceMs: random.chance(0.5) ? 0 : random.pick(instantsMs) + random.integer(-1, 1),
  };
  const seen = await store.seenAmong(userId, candidates, rule);
  const expected = oracle.seenAmong(userId, candidates, rule);
  expect(seen, `seenAmong of ${userId} by ${JSON.stringify(rule)}`).toEqual(expected);
  expect(unseenAmong(candidates, seen)).toEqual(
    candidates.filter((postId, index) => !expected.has(postId) && candidates.indexOf(postId) === index),
  );
}

/** Its ends lie at views, just beside them, or nowhere. */
function randomWindow({ random, instantsMs }: World): Window {
  const edge = () => random.pick(instantsMs) + random.integer(-1, 1);
  return {
    sinceMs: random.chance(0.5) ? EVERYTHING.sinceMs : edge(),
    untilMs: random.chance(0.5) ? EVERYTHING.untilMs : edge(),
  };
}

function randomLimit(random: Random): number {
  return random.pick([1, 2, 3, 5, 500]);
}
