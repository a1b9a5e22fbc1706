import { describe, expect, test } from "vitest";
import { createImpressionsOn, type Impressions } from "../../client/src/impressions.ts";
import type { HttpAnswer, HttpRequest } from "../../client/src/platform.ts";
import { createRandom } from "../kit/random.ts";
import {
  accepted,
  type Boot,
  createDevice,
  createLedger,
  createWorld,
  failed,
  postsOf,
  sizeOf,
  WRITE_MS_MAX,
} from "./support/virtual-world.ts";

/** In `npm test`; SURVIVAL_SEEDS=3000 by hand. */
const SEEDS = Number(process.env.SURVIVAL_SEEDS ?? 200);
const STEPS = 60;
const WAITING_MAX = 60;
const LATENCY_MS_MAX = 2_000;
const MINUTE_MS = 60_000;
/** The server corrects a clock from here on; a view whose time was never corrected is wrong by no more. */
const TOLERANCE_MS = 5 * MINUTE_MS;

/** Answers of a proxy, an older server, a redirect: none of them may cost a view. */
const KEPT: readonly HttpAnswer[] = [
  { status: 200, retryAfter: null, text: "<html>Please sign in to this Wi-Fi</html>" },
  { status: 200, retryAfter: null, text: accepted(0).text.slice(0, -5) },
  { status: 301, retryAfter: null, text: "" },
  { status: 0, retryAfter: null, text: "" },
  failed(401, "UNAUTHENTICATED"),
  failed(400, "BAD_USER_INPUT", undefined, "The body must be JSON"),
  failed(400, "GRAPHQL_VALIDATION_FAILED"),
  failed(404, "BAD_USER_INPUT"),
];

/**
 * Random schedules of views, failures, kills and restarts, each repeated exactly by its seed (SURVIVAL_SEED=n runs one).
 * Every post is viewed once, so that a second instant of a post at the server is a view counted twice.
 */
describe("acknowledged or still stored", () => {
  const only = process.env.SURVIVAL_SEED;
  const seeds = only === undefined ? Array.from({ length: SEEDS }, (_, seed) => seed) : [Number(only)];

  test(`for ${SEEDS} seeds`, { timeout: 300_000 }, async () => {
    const seen = { kills: 0, failures: 0, dropped: 0, acknowledged: 0, misdated: 0 };
    for (const seed of seeds) {
      const outcome = await live(seed).catch((error: unknown) => {
        throw new Error(`SURVIVAL_SEED=${seed}: ${error instanceof Error ? error.message : error}`, {
          cause: error,
        });
      });
      for (const key of Object.keys(seen) as (keyof typeof seen)[]) seen[key] += outcome[key];
    }
    // The schedules really had in them what they are about.
    if (only === undefined) {
      expect(seen.kills).toBeGreaterThan(2 * SEEDS);
      expect(seen.failures).toBeGreaterThan(2 * SEEDS);
      expect(seen.dropped).toBeGreaterThan(SEEDS / 5);
      expect(seen.acknowledged).toBeGreaterThan(20 * SEEDS);
      // One view of each first run, and what its page sent when it ended: a small part of all.
      expect(seen.misdated).toBeLessThan(seen.acknowledged / 100);
    }
  });
});

async function live(seed: number) {
  const random = createRandom(seed);
  const world = createWorld();
  const ledger = createLedger();
  const outcome = { kills: 0, failures: 0, dropped: 0, acknowledged: 0, misdated: 0 };
  /** When each post was really viewed. */
  const viewedAtMs = new Map<string, number>();
  const dropped = new Set<string>();
  /** The app was killed before the storage had them: there is no promise about these. */
  const excused = new Set<string>();
  /** Not stored while the storage took nothing. */
  const unsaved = new Set<string>();
  /** On the wire while the storage, which had refused to take it or hangs, may say that they never were. */
  const unsealed = new Set<string>();
  /** What no request may do. */
  const broken: unknown[] = [];
  /** Sent with a `sentAt`. */
  const provisional = new Set<string>();
  let troubled = true;
  let tooMany = random.chance(0.3) ? random.integer(1, 20) : 500;
  let wish = { boot: {}, untilMs: 0 };
  const inFlight = new Map<object, number>();
  /** How often a page was about to end in this run. */
  let lastWords = 0;

  async function post({ body, signal }: HttpRequest, boot: object): Promise<HttpAnswer> {
    const concurrent = (inFlight.get(boot) ?? 0) + 1;
    inFlight.set(boot, concurrent);
    // The SDK would take an assertion that fails here for a network that does.
    try {
      // A page that ends sends a second one, and its answer is not heard.
      expect(concurrent, "requests at once").toBeLessThanOrEqual(1 + lastWords);
      if (wish.boot === boot)
        expect(world.nowMs(), "before the server wanted it").toBeGreaterThanOrEqual(wish.untilMs);
      noteUnsealed(body);
    } catch (error) {
      broken.push(error);
    }
    if (body.includes('"sentAt"')) for (const postId of postsOf(body)) provisional.add(postId);
    let ended = false;
    const end = () => {
      if (!ended) inFlight.set(boot, (inFlight.get(boot) ?? 1) - 1);
      ended = true;
    };
    // One that took too long is given up.
    signal?.addEventListener("abort", end);
    return answer(body, boot, signal).finally(end);
  }

  async function answer(body: string, boot: object, signal?: AbortSignal): Promise<HttpAnswer> {
    const wait = () =>
      new Promise<void>((resolve) => void world.after(random.integer(1, LATENCY_MS_MAX / 2), resolve));
    await wait();
    const fate = troubled ? random.next() : 1;
    if (fate < 0.1) throw new TypeError("the request was lost");
    if (sizeOf(body) > tooMany) return failed(413, "BATCH_TOO_LARGE");
    if (fate < 0.5) outcome.failures++;
    if (fate < 0.2) {
      const waitMs = random.integer(0, 20_000);
      // A page that ends does not hear it, and one that has given up neither.
      if (signal?.aborted === false) wish = { boot, untilMs: world.nowMs() + waitMs };
      return failed(503, "OVERLOADED", waitMs);
    }
    if (fate < 0.25) return failed(500, "INTERNAL_SERVER_ERROR");
    // Answers that are not about the views.
    if (fate < 0.3) return random.pick(KEPT);
    const receivedAtMs = world.nowMs();
    ledger.take(body, receivedAtMs);
    if (fate < 0.4) throw new TypeError("the answer was lost");
    // Cut off without a word: the SDK's own time limit has to end it.
    if (fate < 0.45) await new Promise((resolve) => void world.after(20_000, () => resolve(undefined)));
    await wait();
    return accepted(receivedAtMs, random.chance(0.2) ? 500 : 0);
  }

  const device = createDevice(world, random, post, { syncStorage: random.chance(0.5) });
  device.skewMs.value = random.pick([
    0,
    random.integer(-3_000, 3_000),
    random.integer(-4, 4) * MINUTE_MS,
    // Not near half a minute, where two deliveries may be rounded to different ones: see client/README.md.
    random.integer(6, 100_000) * MINUTE_MS * random.pick([-1, 1]) + random.integer(-20_000, 20_000),
  ]);

  function start(): { readonly boot: Boot; readonly impressions: Impressions } {
    const boot = device.boot();
    lastWords = 0;
    const impressions = createImpressionsOn(boot.platform, {
      userId: "maria",
      waitingMax: WAITING_MAX,
      onDropped: ({ impressions: lost, total }) => {
        for (const { postId } of lost) dropped.add(postId);
        expect(total).toBeGreaterThanOrEqual(lost.length);
      },
    });
    return { boot, impressions };
  }
  const isStored = (postId: string) => {
    for (const value of device.disk.values.values()) if (value.includes(`"${postId}"`)) return true;
    return false;
  };
  function isSafe(postId: string): boolean {
    return ledger.instantsOf.has(postId) || dropped.has(postId) || isStored(postId);
  }
  /** Provisional times on the wire are told to the storage first, or a next run would correct them. */
  function noteUnsealed(body: string): void {
    if (device.disk.slow > 0) for (const postId of postsOf(body)) unsealed.add(postId);
    for (const value of device.disk.values.values()) {
      if (!value.includes('"n":1')) continue;
      for (const postId of postsOf(body)) {
        if (!value.includes(`"${postId}"`)) continue;
        expect(
          device.disk.refused.size + device.disk.slow,
          `${postId} was sent before that was saved`,
        ).toBeGreaterThan(0);
        unsealed.add(postId);
      }
    }
  }
  function noteUnsaved(): void {
    if (!device.disk.failing && device.disk.slow === 0) return;
    for (const postId of viewedAtMs.keys()) if (!isSafe(postId)) unsaved.add(postId);
  }
  function kill(): void {
    outcome.kills++;
    outcome.acknowledged += app.impressions.status().acknowledged;
    noteUnsaved();
    app.boot.kill();
    for (const [postId, atMs] of viewedAtMs) {
      const fresh = unsaved.has(postId) || world.nowMs() - atMs <= 3 * WRITE_MS_MAX;
      if (fresh && !isSafe(postId)) excused.add(postId);
      if (!excused.has(postId)) expect(isSafe(postId), `${postId} after the kill`).toBe(true);
    }
  }

  let app = start();
  let posts = 0;
  for (let count = 0; count < STEPS; count++) {
    const what = random.next();
    if (what < 0.45) {
      for (let left = random.pick([1, 1, 3, 15]); left > 0; left--) {
        const postId = `p${posts++}`;
        viewedAtMs.set(postId, world.nowMs());
        app.impressions.viewed(postId, { surface: "HOME", position: left });
        if (random.chance(0.5)) await world.pass(random.integer(0, 50));
      }
    } else if (what < 0.65) await world.pass(random.pick([10, 500, 5_000, 60_000, 600_000]));
    else if (what < 0.72) {
      kill();
      await world.pass(random.integer(0, 100_000));
      app = start();
    } else if (what < 0.77) app.boot.lifecycle()?.background();
    else if (what < 0.82) {
      device.networkUp.value = !device.networkUp.value;
      if (device.networkUp.value) app.boot.lifecycle()?.awake();
    } else if (what < 0.84) void app.impressions.flush();
    else if (what < 0.86) {
      lastWords++;
      app.boot.lifecycle()?.exit();
      if (random.chance(0.5)) await world.pass(random.integer(0, 5_000));
      // Back from the browser's memory, or never.
      if (random.chance(0.7)) app.boot.lifecycle()?.awake();
    } else if (what < 0.9) {
      const sleepMs = random.integer(0, 3_600_000);
      device.sleep(sleepMs);
      await world.pass(sleepMs);
    } else if (what < 0.94) {
      // Mostly healthy, or nothing would be left to promise.
      noteUnsaved();
      device.disk.failing = random.chance(0.2);
      device.disk.hanging = random.chance(0.2);
      noteUnsaved();
    } else if (what < 0.97) tooMany = random.chance(0.3) ? random.integer(1, 20) : 500;
    else {
      void app.impressions.close();
      await world.pass(random.integer(0, 12_000));
      kill();
      app = start();
    }
  }

  // All is well again: the last run brings everything home, and then stops asking for power.
  noteUnsaved();
  device.disk.failing = false;
  device.disk.hanging = false;
  device.networkUp.value = true;
  troubled = false;
  kill();
  app = start();
  await world.pass(10_000);
  for (let round = 0; round < 50 && app.impressions.status().waiting > 0; round++) {
    void app.impressions.flush();
    await world.pass(MINUTE_MS);
  }
  if (broken.length > 0) throw broken[0];
  expect(app.impressions.status().waiting).toBe(0);
  // The last of them is still to go from the storage.
  await world.pass(MINUTE_MS);
  expect(app.boot.timers(), "timers while nothing waits").toBe(0);
  outcome.acknowledged += app.impressions.status().acknowledged;
  outcome.dropped = dropped.size;

  for (const [postId, atMs] of viewedAtMs) {
    const instants = ledger.instantsOf.get(postId) ?? new Set();
    if (!dropped.has(postId) && !excused.has(postId))
      expect(instants.size, `${postId} at the server`).toBeGreaterThan(0);
    expect(instants.size, `${postId} counted twice`).toBeLessThanOrEqual(unsealed.has(postId) ? 2 : 1);
    for (const instant of instants) {
      const wrongMs = Math.abs(instant - atMs);
      if (wrongMs <= TOLERANCE_MS + LATENCY_MS_MAX) continue;
      // What was sent before the first answer is wrong by no more than the clock, behind or ahead, was.
      outcome.misdated++;
      expect(provisional, `${postId} has a wrong time`).toContain(postId);
      const ofSkew = (instant - atMs) / device.skewMs.value;
      expect(ofSkew > 0 && ofSkew <= 1 + 1e-3, `${postId} has a wrong time`).toBe(true);
    }
  }
  const left = [...device.disk.values.keys()].filter((key) => key.startsWith("impressions/"));
  expect(left, "left in the storage").toEqual([]);
  return outcome;
}
