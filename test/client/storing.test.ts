import { describe, expect, test } from "vitest";
import { createPhone, view } from "./support/phone.ts";
import { failed } from "./support/virtual-world.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Views that come one by one while nothing can be sent; the bytes that were written for them. */
async function bytesFor(views: number): Promise<number> {
  const { world, device, ...phone } = createPhone();
  device.networkUp.value = false;
  const app = phone.start({ waitingMax: views });
  for (let index = 0; index < views; index++) {
    app.impressions.viewed(`post-${String(index).padStart(6, "0")}`, { surface: "HOME", position: index });
    await Promise.resolve();
    await Promise.resolve();
  }
  await world.pass(SECOND_MS);
  expect([...device.disk.values.values()].join()).toContain(`post-${String(views - 1).padStart(6, "0")}`);
  return device.disk.bytesWritten;
}

describe("the storage", () => {
  test("10,000 views cost ten times the bytes of 1,000, and each a small multiple of its own", async () => {
    const thousand = await bytesFor(1_000);
    const tenThousand = await bytesFor(10_000);
    console.info(`bytes written for a view: ${thousand / 1_000} of 1,000, ${tenThousand / 10_000} of 10,000`);
    expect(tenThousand / thousand).toBeLessThan(11);
    // A view is about 45 bytes and is written ten times on average, with the 40 bytes around its segment.
    expect(tenThousand / 10_000).toBeLessThan(700);
  });

  test("views of one moment are written in one go", async () => {
    const { world, device, ...phone } = createPhone();
    device.networkUp.value = false;
    const app = phone.start();
    await world.pass(0);
    view(app, 1_000);
    await world.pass(0);
    expect(device.disk.bytesWritten).toBeLessThan(1_000 * 40);
    expect(device.disk.values.size).toBe(50);
  });

  test("one that takes nothing is told once; the views stay in memory, and are written when it takes them again", async () => {
    for (const syncStorage of [true, false]) {
      const { world, device, ...phone } = createPhone({ syncStorage });
      device.networkUp.value = false;
      device.disk.failing = true;
      const app = phone.start();
      view(app, 3);
      await world.pass(SECOND_MS);
      view(app, 3, "q");
      await world.pass(SECOND_MS);
      expect(app.errors.map(({ code }) => code)).toEqual(["STORAGE"]);
      expect(app.impressions.status().waiting).toBe(6);
      device.disk.failing = false;
      view(app, 1, "healthy");
      await world.pass(SECOND_MS);
      const stored = [...device.disk.values.values()].join();
      for (const postId of ["p0", "q2", "healthy0"]) expect(stored).toContain(`"${postId}"`);
    }
  });

  test("another account's views are kept for its next start, and never sent as this one's", async () => {
    const { world, device, requests, ...phone } = createPhone();
    device.networkUp.value = false;
    const maria = phone.start({ userId: "maria" });
    view(maria, 3, "marias");
    await world.pass(SECOND_MS);
    maria.boot.kill();
    device.networkUp.value = true;
    const ana = phone.start({ userId: "ana" });
    view(ana, 3, "anas");
    void ana.impressions.close();
    await world.pass(MINUTE_MS);
    expect(requests.flatMap(({ input }) => input.impressions.map(({ postId }) => postId))).toEqual([
      "anas0",
      "anas1",
      "anas2",
    ]);
    ana.boot.kill();
    const again = phone.start({ userId: "maria" });
    await world.pass(MINUTE_MS);
    expect(again.impressions.status().acknowledged).toBe(3);
    expect(requests.at(-1)?.input.userId).toBe("maria");
  });

  test("damage is told and removed, another version is left alone, and the rest arrives", async () => {
    const { world, device, ...phone } = createPhone();
    const { values } = device.disk;
    values.set("impressions/dead/0", '{"v":1,"u":"maria","i":[["p-1",17');
    values.set("impressions/dead/1", '{"v":1,"u":"maria","i":[["p-2",null]]}');
    values.set("impressions/dead/2", '{"v":1,"u":"maria","i":[["p-3",1767225600000,"HOME",4,900]]}');
    values.set("impressions/newer/0", '{"v":2,"u":"maria","views":[]}');
    values.set("theme", "dark");
    const app = phone.start();
    await world.pass(MINUTE_MS);
    expect(app.errors.map(({ code }) => code)).toEqual(["STORAGE", "STORAGE"]);
    expect(phone.requests[0]?.input.impressions).toEqual([
      { postId: "p-3", viewedAt: "2026-01-01T00:00:00.000Z", surface: "HOME", position: 4, dwellMs: 900 },
    ]);
    expect([...values.keys()].sort()).toEqual(["impressions-clock", "impressions/newer/0", "theme"]);
  });

  test("more than the bound from an earlier run: the oldest are dropped", async () => {
    const { world, device, ...phone } = createPhone();
    device.networkUp.value = false;
    const first = phone.start();
    view(first, 50);
    await world.pass(SECOND_MS);
    first.boot.kill();
    const second = phone.start({ waitingMax: 20 });
    await world.pass(SECOND_MS);
    expect(second.dropped).toMatchObject([{ reason: "BOUND", total: 30 }]);
    expect(second.dropped[0]?.postIds[0]).toBe("p0");
    expect([...device.disk.values.values()].join()).not.toContain('"p0"');
  });
});

describe("the clock", () => {
  /** The instant at which the server has a post. */
  const instantOf = (ledger: Map<string, Set<number>>, postId: string): number => {
    const [instant, ...more] = ledger.get(postId) ?? [];
    expect(more, `${postId} at one instant`).toEqual([]);
    return instant ?? Number.NaN;
  };

  test("two hours off: what was never sent is corrected with the first answer, once", async () => {
    const { world, device, ledger, requests, ...phone } = createPhone();
    device.skewMs.value = 2 * HOUR_MS + 10 * SECOND_MS;
    const app = phone.start({ batchMax: 20 });
    await world.pass(0);
    const viewedAtMs = world.nowMs();
    view(app, 40);
    await world.pass(MINUTE_MS);
    expect(app.impressions.status().acknowledged).toBe(40);
    // The first twenty moved by the server, to the minute; the others by the SDK, to the round trip.
    expect(Math.abs(instantOf(ledger.instantsOf, "p0") - viewedAtMs)).toBe(10 * SECOND_MS);
    for (const postId of ["p20", "p39"])
      expect(Math.abs(instantOf(ledger.instantsOf, postId) - viewedAtMs)).toBeLessThan(100);
    for (const { input } of requests.slice(1))
      expect(Math.abs(Date.parse(input.sentAt ?? "") - world.nowMs())).toBeLessThan(2 * MINUTE_MS);
  });

  test("a view keeps its time through lost answers, a kill and a better known clock", async () => {
    const { world, device, ledger, answers, requests, ...phone } = createPhone();
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
    for (const postId of ledger.instantsOf.keys()) instantOf(ledger.instantsOf, postId);
    expect(
      requests.filter(({ input }) => input.impressions.some(({ postId }) => postId === "p0")).length,
    ).toBeGreaterThan(1);
  });

  test("corrected views are not moved again when the clock is set in between", async () => {
    const { world, device, ledger, answers, requests, ...phone } = createPhone();
    const app = phone.start();
    view(app, 11, "first");
    await world.pass(SECOND_MS);
    const viewedAtMs = world.nowMs();
    view(app, 3, "before");
    await world.pass(SECOND_MS);
    // The user sets the clock four hours back.
    device.skewMs.value = -4 * HOUR_MS;
    answers.push(failed(500, "INTERNAL_SERVER_ERROR"));
    app.boot.lifecycle()?.background();
    await world.pass(MINUTE_MS);
    const afterMs = world.nowMs();
    view(app, 3, "after");
    await world.pass(MINUTE_MS);
    expect(app.impressions.status().waiting).toBe(0);
    expect(instantOf(ledger.instantsOf, "before0")).toBe(viewedAtMs);
    expect(requests[1]?.input).not.toHaveProperty("sentAt");
    expect(Math.abs(instantOf(ledger.instantsOf, "after0") - afterMs)).toBeLessThan(100);
  });

  test("a sleep of the device is no jump: times stay as they are", async () => {
    const { world, device, ledger, ...phone } = createPhone();
    const app = phone.start();
    view(app, 11, "first");
    await world.pass(SECOND_MS);
    device.sleep(8 * HOUR_MS);
    await world.pass(8 * HOUR_MS);
    const viewedAtMs = world.nowMs();
    view(app, 11, "morning");
    await world.pass(SECOND_MS);
    expect(Math.abs(instantOf(ledger.instantsOf, "morning0") - viewedAtMs)).toBeLessThan(100);
  });

  test("the next run begins with what the last one learned", async () => {
    const { world, device, ledger, requests, ...phone } = createPhone();
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
    expect(Math.abs(Date.parse(requests[1]?.input.sentAt ?? "") - viewedAtMs)).toBeLessThan(100);
    expect(Math.abs(instantOf(ledger.instantsOf, "q0") - viewedAtMs)).toBeLessThan(100);
  });
});
