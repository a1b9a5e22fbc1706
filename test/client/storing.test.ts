import { describe, expect, test } from "vitest";
import { createPhone, view } from "./support/phone.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

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
    // A view is about 45 bytes and is written ten times on average, with the 40 bytes around its chunk.
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
    expect([...device.disk.values.keys()].filter((key) => key.startsWith("impressions/"))).toHaveLength(50);
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
