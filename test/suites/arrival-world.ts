import { expect } from "vitest";
import type { View } from "../../src/domain/impression.ts";
import { MINUTE_MS } from "../../src/domain/time.ts";
import { PipelineDocument, RecordImpressionsDocument } from "../../src/generated/operations.ts";
import { query } from "../kit/graphql-request.ts";
import type { Random } from "../kit/random.ts";
import { viewOf } from "../kit/views.ts";
import { createOracle, type Oracle } from "../support/oracle.ts";

const SETTLE_TIMEOUT_MS = 60_000;

/** A few users and posts of a running service, and an oracle that knows what was stored of them. */
export interface World {
  readonly url: string;
  readonly random: Random;
  readonly oracle: Oracle;
  readonly users: readonly string[];
  readonly posts: readonly string[];
  readonly instantsMs: readonly number[];
  received: number;
}

/** Stores random views. @param name makes the ids unlike those of any other world. */
export async function createWorld(url: string, random: Random, name: string): Promise<World> {
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
  return world;
}

export function randomView({ random }: World, userId: string, postId: string, viewedAtMs: number): View {
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
export async function record(world: World, views: readonly View[]): Promise<void> {
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

export function instantOf(epochMs: number): string;
export function instantOf(epochMs: number | null): string | null;
export function instantOf(epochMs: number | null): string | null {
  return epochMs === null ? null : new Date(epochMs).toISOString();
}
