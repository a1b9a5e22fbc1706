import { describe, expect, test } from "vitest";
import { createViewReporter } from "../../client/src/viewability.ts";
import { type App, createPhone, type Phone, view } from "./support/phone.ts";

/** A user who does not want to be recorded: nothing is, nothing leaves, and nothing stays. */

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

const ours = (values: Map<string, string>) =>
  [...values.keys()].filter((key) => key.startsWith("impressions/"));

/** The app was killed before it had sent what was seen, `earlier0` and on; the network is still down. */
async function phoneAfterKill(seen: number, options: Parameters<typeof createPhone>[0] = {}): Promise<Phone> {
  const phone = createPhone(options);
  phone.device.networkUp.value = false;
  const earlier = phone.start();
  view(earlier, seen, "earlier");
  await phone.world.pass(SECOND_MS);
  earlier.boot.kill();
  return phone;
}

/** An app with a list on its way, whose answer will be lost. */
async function appThatSends(): Promise<{ readonly phone: Phone; readonly app: App }> {
  const phone = createPhone();
  phone.answers.push("lost answer");
  const app = phone.start();
  await phone.world.pass(0);
  view(app, 11);
  await phone.world.pass(10);
  return { phone, app };
}

describe("clear", () => {
  test.each([true, false])(
    "what waits is gone from memory and storage, and never sent (a storage that answers at once: %s)",
    async (syncStorage) => {
      const phone = await phoneAfterKill(5, { syncStorage });
      const { world, device } = phone;
      const app = phone.start();
      await world.pass(SECOND_MS);
      view(app, 30, "waits");
      expect(app.impressions.status().waiting).toBe(35);
      const { clear } = app.impressions;
      const cleared = clear();
      expect(app.impressions.status().waiting).toBe(0);
      // Views from now on are recorded.
      app.impressions.viewed("after");
      await world.pass(SECOND_MS);
      expect(await cleared).toEqual({ waiting: 1, acknowledged: 0, dropped: 0 });
      const stored = [...device.disk.values.values()].join();
      expect(stored).not.toMatch(/earlier|waits/);
      expect(stored).toContain('"after"');
      device.networkUp.value = true;
      void app.impressions.flush();
      await world.pass(MINUTE_MS);
      expect([...phone.ledger.instantsOf.keys()]).toEqual(["after"]);
      expect(ours(device.disk.values)).toEqual([]);
      expect([...device.disk.values].join(), "whose it was").not.toContain("maria");
      expect(app.dropped).toEqual([]);
    },
  );

  test("called before the app has looked what an earlier run left", async () => {
    const phone = await phoneAfterKill(5, { syncStorage: false });
    const { world, device } = phone;
    device.networkUp.value = true;
    const app = phone.start();
    void app.impressions.clear();
    await world.pass(10 * MINUTE_MS);
    expect(phone.requests).toEqual([]);
    expect(ours(device.disk.values)).toEqual([]);
    expect(app.boot.timers()).toBe(0);
  });

  test("a request in flight is cancelled: it may have arrived, but is not sent again", async () => {
    const { phone, app } = await appThatSends();
    void app.impressions.clear();
    await phone.world.pass(10 * MINUTE_MS);
    expect(phone.requests).toHaveLength(1);
    expect(phone.requests[0]?.signal?.aborted).toBe(true);
    expect(app.impressions.status()).toEqual({ waiting: 0, acknowledged: 0, dropped: 0 });
    expect(app.errors).toEqual([]);
    view(app, 11, "next");
    await phone.world.pass(SECOND_MS);
    expect(app.impressions.status().acknowledged).toBe(11);
  });

  test("another tab of the same user forgets what it has before it sends; one of another user does not", async () => {
    const phone = createPhone();
    const { world, device } = phone;
    device.networkUp.value = false;
    // Two pages live on one device: the locks of one name are the other's.
    const held = new Set<string>();
    phone.platform = (platform) => ({
      ...platform,
      locks: {
        acquire(owner) {
          if (held.has(owner)) return null;
          held.add(owner);
          return () => void held.delete(owner);
        },
      },
    });
    const boot = device.boot();
    phone.device.boot = () => boot;
    const [tab, other, ana] = [phone.start(), phone.start(), phone.start({ userId: "ana" })];
    await world.pass(SECOND_MS);
    view(tab, 3, "tab");
    view(other, 3, "other");
    view(ana, 3, "ana");
    await world.pass(SECOND_MS);
    void tab.impressions.clear();
    await world.pass(SECOND_MS);
    expect([...device.disk.values.values()].join()).not.toMatch(/tab|other/);
    tab.impressions.viewed("again");
    device.networkUp.value = true;
    for (const { impressions } of [other, ana]) void impressions.flush();
    await world.pass(MINUTE_MS);
    expect([...phone.ledger.instantsOf.keys()]).toEqual(["ana0", "ana1", "ana2"]);
    expect(other.impressions.status()).toEqual({ waiting: 0, acknowledged: 0, dropped: 0 });
    expect([...device.disk.values.values()].join()).toContain('"again"');
    // Told once: what it sees afterwards counts.
    other.impressions.viewed("later");
    void other.impressions.flush();
    await world.pass(MINUTE_MS);
    expect(other.impressions.status().acknowledged).toBe(1);
  });

  test.each(["takes nothing", "is slow"])(
    "what is seen afterwards is kept and sent where the storage %s",
    async (kind) => {
      const phone = createPhone();
      const { world } = phone;
      phone.platform = (platform) => ({
        ...platform,
        storage: {
          ...platform.storage,
          set(key, value) {
            if (kind === "takes nothing") throw new Error("full");
            return new Promise((resolve) => {
              platform.timer(2 * SECOND_MS, () => resolve(platform.storage.set(key, value)));
            });
          },
        },
      });
      const app = phone.start();
      await world.pass(SECOND_MS);
      void app.impressions.clear();
      view(app, 1, "first");
      void app.impressions.flush();
      await world.pass(MINUTE_MS);
      view(app, 1, "second");
      void app.impressions.flush();
      await world.pass(MINUTE_MS);
      expect([...phone.ledger.instantsOf.keys()]).toEqual(["first0", "second0"]);
    },
  );

  test("a storage that hangs keeps it from nothing but what it has itself", async () => {
    const never = () => new Promise<never>(() => undefined);
    const phone = createPhone();
    phone.platform = (platform) => ({
      ...platform,
      storage: { keys: never, get: never, set: never, remove: never },
    });
    const app = phone.start();
    view(app, 5);
    const cleared = app.impressions.clear();
    await phone.world.pass(MINUTE_MS);
    expect(await cleared).toMatchObject({ waiting: 0 });
    expect(app.errors.map(({ code }) => code)).toContain("STORAGE");
    await phone.world.pass(10 * MINUTE_MS);
    expect(phone.requests).toEqual([]);
  });
});

describe("pause and resume", () => {
  test("nothing is recorded, nothing leaves, and what waits stays", async () => {
    const phone = createPhone();
    const { world, device } = phone;
    const app = phone.start();
    await world.pass(0);
    view(app, 3, "before");
    const { pause, resume } = app.impressions;
    pause();
    pause();
    view(app, 30, "paused");
    app.boot.lifecycle()?.background();
    app.boot.lifecycle()?.exit();
    app.boot.lifecycle()?.awake();
    expect(await app.impressions.flush()).toMatchObject({ waiting: 3 });
    await world.pass(60 * MINUTE_MS);
    expect(phone.requests).toEqual([]);
    expect(app.boot.timers()).toBe(0);
    expect([...device.disk.values.values()].join()).toContain('"before2"');
    resume();
    view(app, 1, "after");
    void app.impressions.flush();
    await world.pass(MINUTE_MS);
    expect([...phone.ledger.instantsOf.keys()].sort()).toEqual(["after0", "before0", "before1", "before2"]);
    expect([app.errors, app.dropped]).toEqual([[], []]);
  });

  test("a request in flight is cancelled, and sent again afterwards", async () => {
    const { phone, app } = await appThatSends();
    app.impressions.pause();
    await phone.world.pass(60 * MINUTE_MS);
    expect(phone.requests).toHaveLength(1);
    expect(phone.requests[0]?.signal?.aborted).toBe(true);
    app.impressions.resume();
    await phone.world.pass(MINUTE_MS);
    expect(app.impressions.status()).toMatchObject({ waiting: 0, acknowledged: 11 });
    for (const instants of phone.ledger.instantsOf.values()) expect(instants.size).toBe(1);
  });

  test("a view that began before it went on is none, however the clock is set meanwhile", async () => {
    const phone = createPhone();
    const { world, device } = phone;
    const app = phone.start();
    await world.pass(0);
    const reporter = createViewReporter(app.impressions, app.boot.platform);
    reporter.visible("long", 1);
    await world.pass(2 * SECOND_MS);
    app.impressions.pause();
    await world.pass(10 * SECOND_MS);
    reporter.visible("within", 1);
    await world.pass(2 * SECOND_MS);
    app.impressions.resume();
    await world.pass(2 * SECOND_MS);
    reporter.visible("whole", 1);
    await world.pass(2 * SECOND_MS);
    reporter.hideAll();
    expect(app.impressions.status().waiting).toBe(1);
    device.skewMs.value = -14 * 24 * 60 * MINUTE_MS;
    await world.pass(2 * SECOND_MS);
    reporter.visible("set", 1);
    await world.pass(2 * SECOND_MS);
    reporter.hideAll();
    void app.impressions.flush();
    await world.pass(MINUTE_MS);
    expect([...phone.ledger.instantsOf.keys()]).toEqual(["whole", "set"]);
  });

  test("an app that begins paused asks first: nothing is recorded, stored or sent until it goes on", async () => {
    const phone = await phoneAfterKill(3);
    const { world, device } = phone;
    device.networkUp.value = true;
    const written = device.disk.bytesWritten;
    const app = phone.start({ paused: true });
    view(app, 30);
    await world.pass(60 * MINUTE_MS);
    expect([phone.requests, device.disk.bytesWritten]).toEqual([[], written]);
    app.impressions.resume();
    await world.pass(MINUTE_MS);
    expect([...phone.ledger.instantsOf.keys()]).toEqual(["earlier0", "earlier1", "earlier2"]);
  });

  test("closed while it is paused: nothing is sent, and what waits is there for the next start", async () => {
    const phone = createPhone();
    const app = phone.start();
    await phone.world.pass(0);
    view(app, 3);
    app.impressions.pause();
    const closed = app.impressions.close();
    await phone.world.pass(MINUTE_MS);
    expect(await closed).toMatchObject({ waiting: 3 });
    app.impressions.resume();
    await phone.world.pass(MINUTE_MS);
    expect(phone.requests).toEqual([]);
    app.boot.kill();
    const next = phone.start();
    await phone.world.pass(MINUTE_MS);
    expect(next.impressions.status().acknowledged).toBe(3);
  });
});
