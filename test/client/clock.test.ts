import { describe, expect, test } from "vitest";
import { createViewReporter } from "../../client/src/viewability.ts";
import { createRandom } from "../kit/random.ts";
import { type App, createPhone, type Phone, view } from "./support/phone.ts";
import { failed } from "./support/virtual-world.ts";

/** When a view is dated by a device whose clock is wrong, is set, or stands still. */

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Round trips are what an offset is known to. */
const ROUND_TRIP_MS = 200;

/** How far the one instant at which the server has a post is from this one. */
function errorMs({ ledger }: Phone, postId: string, atMs: number): number {
  const [instant, ...more] = ledger.instantsOf.get(postId) ?? [];
  expect(more, `${postId} at one instant`).toEqual([]);
  return (instant ?? Number.NaN) - atMs;
}

describe("a clock that is wrong", () => {
  test.each([
    ["ahead", 2 * HOUR_MS + 10 * SECOND_MS, 10 * SECOND_MS],
    ["behind", -2 * HOUR_MS, -2 * HOUR_MS],
  ])(
    "two hours %s, and nothing is known of it: one view is sent, and its answer dates all others",
    async (_where, skewMs, firstErrorMs) => {
      const phone = createPhone({ knownClock: false });
      phone.device.skewMs.value = skewMs;
      const app = phone.start();
      await phone.world.pass(0);
      const viewedAtMs = phone.world.nowMs();
      view(app, 40);
      await phone.world.pass(MINUTE_MS);
      expect(app.impressions.status().acknowledged).toBe(40);
      expect(phone.requests.map(({ input }) => input.impressions.length)).toEqual([1, 39]);
      expect(errorMs(phone, "p0", viewedAtMs)).toBe(firstErrorMs);
      for (let index = 1; index < 40; index++)
        expect(Math.abs(errorMs(phone, `p${index}`, viewedAtMs))).toBeLessThan(ROUND_TRIP_MS);
      // Final times are sent alone, so that nothing moves them, however late they arrive.
      expect(phone.requests[0]?.input).toHaveProperty("sentAt");
      expect(phone.requests[1]?.input).not.toHaveProperty("sentAt");
    },
  );

  test("an app that leaves the screen may not live to hear an answer, and sends all", async () => {
    const phone = createPhone({ knownClock: false });
    const app = phone.start();
    await phone.world.pass(0);
    view(app, 5);
    app.boot.lifecycle()?.background();
    await phone.world.pass(SECOND_MS);
    expect(phone.requests.map(({ input }) => input.impressions.length)).toEqual([5]);
  });

  test("a view keeps its time through lost answers, a kill and a better known clock", async () => {
    const phone = createPhone({ knownClock: false });
    const { world, device, answers, requests } = phone;
    device.skewMs.value = 3 * HOUR_MS;
    answers.push("lost answer", "lost answer");
    const app = phone.start();
    await world.pass(0);
    view(app, 11);
    await world.pass(50);
    app.boot.kill();
    await world.pass(HOUR_MS);
    const again = phone.start();
    view(again, 11, "new");
    await world.pass(5 * MINUTE_MS);
    expect(again.impressions.status()).toMatchObject({ waiting: 0, acknowledged: 22 });
    for (const postId of phone.ledger.instantsOf.keys()) errorMs(phone, postId, 0);
    expect(
      requests.filter(({ input }) => input.impressions.some(({ postId }) => postId === "p0")).length,
    ).toBeGreaterThan(1);
  });

  test("the next run begins with what the last one learned", async () => {
    const phone = createPhone({ knownClock: false });
    const { world, device, requests } = phone;
    device.skewMs.value = -2 * HOUR_MS;
    const app = phone.start();
    view(app, 11);
    await world.pass(SECOND_MS);
    app.boot.kill();
    const again = phone.start();
    await world.pass(0);
    const viewedAtMs = world.nowMs();
    view(again, 11, "q");
    await world.pass(SECOND_MS);
    expect(requests.at(-1)?.input.impressions).toHaveLength(11);
    expect(Math.abs(errorMs(phone, "q0", viewedAtMs))).toBeLessThan(ROUND_TRIP_MS);
  });

  test("a clock that has lost its time since the last run: what is known then is no longer trusted", async () => {
    const phone = createPhone({ knownClock: false });
    const app = phone.start();
    view(app, 11);
    await phone.world.pass(SECOND_MS);
    app.boot.kill();
    await phone.world.pass(DAY_MS);
    phone.device.skewMs.value = -300 * DAY_MS;
    const again = phone.start();
    await phone.world.pass(0);
    const viewedAtMs = phone.world.nowMs();
    view(again, 11, "q");
    await phone.world.pass(SECOND_MS);
    // The first one counts as seen when the last run ended: time does not run backwards.
    expect(Math.abs(errorMs(phone, "q0", viewedAtMs) + DAY_MS)).toBeLessThan(2 * SECOND_MS);
    for (let index = 1; index < 11; index++)
      expect(Math.abs(errorMs(phone, `q${index}`, viewedAtMs))).toBeLessThan(ROUND_TRIP_MS);
  });

  test.each([
    ["ahead", 14 * DAY_MS, true],
    ["behind", -14 * DAY_MS, true],
    ["ahead, and set right while the app was dead", 14 * DAY_MS, false],
  ])("offline with a clock that is %s, killed, and started again", async (_how, skewMs, stays) => {
    const phone = createPhone({ knownClock: false });
    const { world, device } = phone;
    device.networkUp.value = false;
    device.skewMs.value = skewMs;
    const app = phone.start();
    await world.pass(SECOND_MS);
    const viewedAtMs = world.nowMs();
    view(app, 5);
    await world.pass(MINUTE_MS);
    app.boot.kill();
    if (!stays) device.skewMs.value = 0;
    device.networkUp.value = true;
    const again = phone.start();
    await world.pass(SECOND_MS);
    view(again, 11, "new");
    await world.pass(2 * MINUTE_MS);
    expect(again.impressions.status()).toMatchObject({ waiting: 0, acknowledged: 16 });
    const errors = Array.from({ length: 5 }, (_, index) => errorMs(phone, `p${index}`, viewedAtMs));
    // One of them was sent to learn it; the clock of a dead app is known to the minute, or to have been before this run.
    for (const error of errors.slice(1)) expect(Math.abs(error)).toBeLessThanOrEqual(2 * MINUTE_MS);
  });
});

describe("a clock that is set while views wait", () => {
  type Event = readonly [what: "set" | "sleep" | "view" | "answer", ms?: number];
  const FIVE: Event = ["view"];
  const FORTNIGHT = 14 * DAY_MS;

  test.each<[string, readonly Event[]]>([
    ["a fortnight ahead, and right again", [["set", FORTNIGHT], FIVE, ["set", -FORTNIGHT]]],
    ["a fortnight behind, and right again", [["set", -FORTNIGHT], FIVE, ["set", FORTNIGHT]]],
    ["views before and after as well", [FIVE, ["set", FORTNIGHT], FIVE, ["set", -FORTNIGHT], FIVE]],
    ["the same behind", [FIVE, ["set", -FORTNIGHT], FIVE, ["set", FORTNIGHT], FIVE]],
    [
      "a night in between",
      [FIVE, ["set", FORTNIGHT], FIVE, ["sleep", 8 * HOUR_MS], FIVE, ["set", -FORTNIGHT], FIVE],
    ],
    [
      "the same behind",
      [FIVE, ["set", -FORTNIGHT], FIVE, ["sleep", 8 * HOUR_MS], FIVE, ["set", FORTNIGHT], FIVE],
    ],
    [
      "a night before",
      [FIVE, ["sleep", 8 * HOUR_MS], FIVE, ["set", FORTNIGHT], FIVE, ["set", -FORTNIGHT], FIVE],
    ],
    ["behind for good", [FIVE, ["set", -3 * HOUR_MS], FIVE]],
    ["behind for good, after a night", [FIVE, ["sleep", 8 * HOUR_MS], FIVE, ["set", -HOUR_MS], FIVE]],
    ["a night and nothing else", [FIVE, ["sleep", 8 * HOUR_MS], FIVE]],
    [
      "twice",
      [["set", FORTNIGHT], FIVE, ["set", -FORTNIGHT], FIVE, ["set", DAY_MS], FIVE, ["set", -DAY_MS], FIVE],
    ],
    [
      "an answer while it is wrong",
      [FIVE, ["set", FORTNIGHT], FIVE, ["answer"], FIVE, ["set", -FORTNIGHT], FIVE],
    ],
  ])("%s: all are stored when they were", async (_how, events) => {
    for (const before of ["never an answer", "an earlier run's answer", "an answer"] as const) {
      const phone = createPhone({ knownClock: before === "an earlier run's answer" });
      const app = phone.start();
      await phone.world.pass(SECOND_MS);
      if (before === "an answer") await answered(phone, app);
      const viewedAtMs = await live(phone, app, events);
      await answered(phone, app);
      for (const [postId, atMs] of viewedAtMs)
        expect(Math.abs(errorMs(phone, postId, atMs)), `${postId}, ${before}`).toBeLessThan(ROUND_TRIP_MS);
      expect(app.dropped).toEqual([]);
    }
  });

  /** The device lives through the events while nothing can be sent, but where an answer is one of them. */
  async function live(phone: Phone, app: App, events: readonly Event[]): Promise<Map<string, number>> {
    const viewedAtMs = new Map<string, number>();
    phone.device.networkUp.value = false;
    for (const [index, [what, ms = 0]] of events.entries()) {
      await phone.world.pass(MINUTE_MS);
      if (what === "set") phone.device.skewMs.value += ms;
      if (what === "sleep") {
        phone.device.sleep(ms);
        await phone.world.pass(ms);
      }
      if (what === "answer") await answered(phone, app);
      if (what === "view") {
        for (let post = 0; post < 5; post++) viewedAtMs.set(`p${index}-${post}`, phone.world.nowMs());
        view(app, 5, `p${index}-`);
      }
    }
    return viewedAtMs;
  }

  async function answered({ world, device }: Phone, app: App): Promise<void> {
    app.impressions.viewed("any");
    await world.pass(SECOND_MS);
    void app.impressions.flush();
    await world.pass(10 * SECOND_MS);
    expect(app.impressions.status().waiting).toBe(0);
    device.networkUp.value = false;
  }

  test("random lives, each repeated by its seed", async () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = createRandom(seed);
      const phone = createPhone({ seed });
      const app = phone.start();
      await phone.world.pass(SECOND_MS);
      const events: Event[] = [FIVE];
      let wrongMs = 0;
      for (let count = random.integer(2, 10); count > 0; count--) {
        const what = random.next();
        // No two of them are alike by accident; a clock is set wrong, and then right.
        if (what < 0.3) events.push(["sleep", random.integer(5 * MINUTE_MS, 12 * HOUR_MS)]);
        else if (wrongMs !== 0) {
          events.push(["set", -wrongMs]);
          wrongMs = 0;
        } else {
          wrongMs = random.integer(13, 400 * 24) * HOUR_MS * random.pick([-1, 1]);
          events.push(["set", wrongMs]);
        }
        events.push(FIVE);
        if (random.chance(0.2)) events.push(["answer"], FIVE);
      }
      const viewedAtMs = await live(phone, app, events);
      await answered(phone, app);
      for (const [postId, atMs] of viewedAtMs) {
        // What is sent before an answer, by a clock that may as well have slept, the server moves to the minute.
        const error = Math.abs(errorMs(phone, postId, atMs));
        expect(error, `seed ${seed}: ${postId} of ${JSON.stringify(events)}`).toBeLessThanOrEqual(MINUTE_MS);
      }
    }
  });

  test("corrected views are not moved again when the clock is set in between", async () => {
    const phone = createPhone();
    const { world, device, answers, requests } = phone;
    const app = phone.start();
    view(app, 11, "first");
    await world.pass(SECOND_MS);
    const viewedAtMs = world.nowMs();
    view(app, 3, "before");
    await world.pass(SECOND_MS);
    device.skewMs.value = -4 * HOUR_MS;
    answers.push(failed(500, "INTERNAL_SERVER_ERROR"));
    app.boot.lifecycle()?.background();
    await world.pass(MINUTE_MS);
    const afterMs = world.nowMs();
    view(app, 3, "after");
    await world.pass(MINUTE_MS);
    expect(app.impressions.status().waiting).toBe(0);
    expect(errorMs(phone, "before0", viewedAtMs)).toBe(0);
    expect(requests[1]?.input).not.toHaveProperty("sentAt");
    expect(Math.abs(errorMs(phone, "after0", afterMs))).toBeLessThan(ROUND_TRIP_MS);
  });

  test("a view that began before the clock was set right and ended after it", async () => {
    const phone = createPhone();
    const { world, device } = phone;
    const app = phone.start();
    const reporter = createViewReporter(app.impressions, app.boot.platform);
    await world.pass(MINUTE_MS);
    device.skewMs.value = FORTNIGHT;
    app.impressions.viewed("any");
    await world.pass(MINUTE_MS);
    const viewedAtMs = world.nowMs();
    reporter.visible("p", 1);
    await world.pass(10 * SECOND_MS);
    device.skewMs.value = 0;
    await world.pass(10 * SECOND_MS);
    reporter.visible("p", 0);
    void app.impressions.flush();
    await world.pass(MINUTE_MS);
    expect(Math.abs(errorMs(phone, "p", viewedAtMs))).toBeLessThan(ROUND_TRIP_MS);
  });

  test("a bounded number of settings is remembered", async () => {
    const phone = createPhone();
    const app = phone.start();
    phone.device.networkUp.value = false;
    await phone.world.pass(SECOND_MS);
    for (let count = 0; count < 500; count++) {
      phone.device.sleep(10 * MINUTE_MS);
      await phone.world.pass(10 * MINUTE_MS);
      app.impressions.viewed(`p${count}`);
    }
    phone.device.networkUp.value = true;
    void app.impressions.flush();
    await phone.world.pass(MINUTE_MS);
    expect(app.impressions.status()).toMatchObject({ waiting: 0, acknowledged: 500 });
  });
});
