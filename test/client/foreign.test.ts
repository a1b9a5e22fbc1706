import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createImpressionsOn } from "../../client/src/impressions.ts";
import { createImpressions as createOnNode, fileStorage, nodePlatform } from "../../client/src/node.ts";
import type { HttpAnswer, ImpressionStorage, OwnerLocks, Platform } from "../../client/src/platform.ts";
import { createImpressions as createOnReactNative } from "../../client/src/react-native.ts";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { createPhone, view } from "./support/phone.ts";

/** The app's and the platform's code may throw, hang, or return anything: views are still sent, and only `onError` reaches the app. */

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const never = () => new Promise<never>(() => undefined);

describe("a wait has an end", () => {
  test.each<[string, Partial<ImpressionStorage>]>([
    ["set", { set: never }],
    ["set and remove", { set: never, remove: never }],
    ["get", { get: never }],
    ["keys", { keys: never }],
    ["everything", { keys: never, get: never, set: never, remove: never }],
  ])("a storage whose %s never answers: sent from memory, and told", async (_what, hanging) => {
    const phone = createPhone({ syncStorage: false });
    const { world, ledger } = phone;
    phone.platform = (platform) => ({ ...platform, storage: { ...platform.storage, ...hanging } });
    const app = phone.start();
    view(app, 11);
    await world.pass(20 * SECOND_MS);
    expect(ledger.instantsOf.size).toBe(11);
    expect(app.impressions.status()).toEqual({ waiting: 0, acknowledged: 11, dropped: 0 });
    expect(new Set(app.errors.map(({ code }) => code))).toEqual(new Set(["STORAGE"]));
    // It is known by now: the next ones are not kept waiting for it.
    view(app, 11, "q");
    await world.pass(SECOND_MS);
    expect(ledger.instantsOf.size).toBe(22);
    const closed = app.impressions.close();
    await world.pass(MINUTE_MS);
    expect(await closed).toMatchObject({ waiting: 0 });
    expect(app.boot.timers()).toBe(0);
  });

  test("a storage that answers late has in the end what is to be in it", async () => {
    const phone = createPhone();
    const { world, device } = phone;
    device.networkUp.value = false;
    let slow = true;
    phone.platform = (platform) => ({
      ...platform,
      storage: {
        ...platform.storage,
        async set(key, value) {
          if (slow) await new Promise<void>((resolve) => void world.after(30 * SECOND_MS, resolve));
          return platform.storage.set(key, value);
        },
      },
    });
    const app = phone.start();
    view(app, 3);
    await world.pass(10 * SECOND_MS);
    slow = false;
    view(app, 3, "q");
    await world.pass(SECOND_MS);
    device.networkUp.value = true;
    void app.impressions.flush();
    await world.pass(SECOND_MS);
    expect(app.impressions.status().acknowledged).toBe(6);
    await world.pass(MINUTE_MS);
    expect([...device.disk.values.keys()], "nothing that was sent comes back").toEqual(["impressions-clock"]);
  });

  test("locks that never answer: sent, and what comes of them later is given back", async () => {
    const phone = createPhone();
    const { world } = phone;
    let held = 0;
    const late: OwnerLocks = {
      acquire: () =>
        new Promise((resolve) => {
          world.after(MINUTE_MS, () => {
            held++;
            resolve(() => void held--);
          });
        }),
    };
    phone.platform = (platform) => ({ ...platform, locks: late });
    const app = phone.start();
    view(app, 11);
    await world.pass(20 * SECOND_MS);
    expect(app.impressions.status().acknowledged).toBe(11);
    expect(app.errors.map(({ code }) => code)).toContain("STORAGE");
    await world.pass(10 * MINUTE_MS);
    expect(held).toBe(0);
  });

  test("a token provider that never answers: TIMEOUT, and it is asked again", async () => {
    const phone = createPhone();
    const { world } = phone;
    let asked = 0;
    const app = phone.start({ getToken: () => (++asked === 1 ? never() : "token") });
    view(app, 11);
    await world.pass(MINUTE_MS);
    expect(app.errors.map(({ code }) => code)).toEqual(["TIMEOUT"]);
    expect(app.impressions.status().acknowledged).toBe(11);
  });
});

describe("never throws", () => {
  const unhandled = vi.fn();
  process.on("unhandledRejection", unhandled);

  test("whatever `viewed` is given, also as a function of its own", async () => {
    const phone = createPhone();
    const { world } = phone;
    const app = phone.start({ waitingMax: 50 });
    const { viewed, flush, status, close } = app.impressions;
    await fc.assert(
      fc.asyncProperty(
        fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true }),
        fc.oneof(
          fc.anything({ withBigInt: true }),
          fc.record(
            {
              surface: fc.anything({ withBigInt: true }),
              position: fc.anything({ withBigInt: true }),
              dwellMs: fc.anything({ withBigInt: true }),
              at: fc.anything({ withBigInt: true, withDate: true }),
            },
            { requiredKeys: [] },
          ),
        ),
        async (postId, details) => {
          viewed(postId as never, details as never);
          viewed("post", details as never);
          viewed(postId as never, null as never);
        },
      ),
    );
    const thrower = new Proxy(
      {},
      {
        get: () => {
          throw new Error("the app's own fault");
        },
      },
    );
    for (const odd of [Symbol("s"), thrower, { at: Symbol("s") }, { dwellMs: Symbol("s") }])
      viewed("post", odd as never);
    app.impressions.viewed("good");
    void flush();
    await world.pass(10 * SECOND_MS);
    expect(status().waiting).toBe(0);
    expect(phone.ledger.instantsOf.has("good")).toBe(true);
    for (const { code } of app.errors) expect(code).toBe("INVALID_IMPRESSION");
    void close();
    await world.pass(10 * SECOND_MS);
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("the app's own fault");
      },
    ],
    ["rejects", () => Promise.reject(new Error("the app's own fault"))],
  ])("a callback that %s", async (_how, callback) => {
    unhandled.mockClear();
    const phone = createPhone();
    const { world, answers } = phone;
    answers.push({ status: 500, retryAfter: null, text: "" });
    const app = phone.start({ onError: callback as never, onDropped: callback as never, waitingMax: 20 });
    app.impressions.viewed("");
    view(app, 25);
    await world.pass(MINUTE_MS);
    expect(app.impressions.status()).toEqual({ waiting: 0, acknowledged: 20, dropped: 5 });
    expect(unhandled).not.toHaveBeenCalled();
  });

  const fault = () => {
    throw new Error("not here");
  };
  test.each<[string, Partial<Platform>]>([
    ["a storage that throws", { storage: { keys: fault, get: fault, set: fault, remove: fault } }],
    [
      "a storage of nothing",
      {
        storage: {
          keys: () => null,
          get: () => undefined,
          set: () => undefined,
          remove: () => undefined,
        } as never,
      },
    ],
    [
      "a storage of anything",
      {
        storage: {
          keys: () => [1, null, "impressions/a"],
          get: () => 7,
          set: () => 7,
          remove: () => 7,
        } as never,
      },
    ],
    ["locks that throw", { locks: { acquire: fault } }],
    ["locks that reject", { locks: { acquire: () => Promise.reject(new Error("not here")) } }],
    ["locks that are given back badly", { locks: { acquire: () => fault } }],
    ["events that cannot be listened to", { listen: fault }],
    ["events that cannot be left", { listen: () => fault }],
  ])("%s", async (_what, part) => {
    unhandled.mockClear();
    const phone = createPhone();
    const { world } = phone;
    phone.platform = (platform) => ({ ...platform, ...part });
    const app = phone.start();
    view(app, 11);
    await world.pass(MINUTE_MS);
    expect(app.impressions.status().acknowledged).toBe(11);
    const closed = app.impressions.close();
    await world.pass(MINUTE_MS);
    expect(await closed).toMatchObject({ waiting: 0 });
    expect(unhandled).not.toHaveBeenCalled();
  });

  test.each<[string, unknown]>([
    ["no answer", undefined],
    ["an answer of nothing", {}],
    ["an answer in the far future", answerAt("9999-12-31T23:59:59.999Z")],
    ["an answer before 1970", answerAt("-271820-01-01T00:00:00.000Z")],
  ])("%s", async (_what, answer) => {
    const phone = createPhone();
    const { world, answers } = phone;
    answers.push(answer as HttpAnswer);
    const app = phone.start();
    view(app, 11);
    await world.pass(MINUTE_MS);
    view(app, 11, "q");
    await world.pass(10 * MINUTE_MS);
    expect(app.impressions.status()).toMatchObject({ waiting: 0, dropped: 0 });
    for (const instant of phone.ledger.instantsOf.get("q0") ?? [Number.NaN])
      expect(Math.abs(instant - world.nowMs())).toBeLessThan(11 * MINUTE_MS);
  });

  test("an unexpected fault: reported, and the views wait for the next attempt", async () => {
    const phone = createPhone();
    let faults = 1;
    phone.platform = (platform) => ({
      ...platform,
      get bodyBytesMax() {
        if (faults-- > 0) throw new Error("not here");
        return platform.bodyBytesMax;
      },
    });
    const app = phone.start();
    view(app, 11);
    await phone.world.pass(MINUTE_MS);
    expect(app.errors).toMatchObject([{ code: "INTERNAL", message: "Error: not here" }]);
    expect(app.impressions.status().acknowledged).toBe(11);
    expect(app.boot.timers()).toBe(0);
  });

  test.each(["1e300", "-1e300", "NaN", "{", "", "[1]", "1e14", "null"])(
    "a saved clock of %s",
    async (saved) => {
      const phone = createPhone();
      const { world, device } = phone;
      device.disk.values.set("impressions-clock", saved);
      const app = phone.start();
      await world.pass(0);
      view(app, 11);
      await world.pass(MINUTE_MS);
      expect(app.impressions.status().acknowledged).toBe(11);
      for (const instants of phone.ledger.instantsOf.values())
        for (const instant of instants) expect(Math.abs(instant - world.nowMs())).toBeLessThan(2 * MINUTE_MS);
    },
  );

  test("damaged chunks: what can be read of them arrives, and nothing else is sent", async () => {
    const phone = createPhone();
    const { world, device } = phone;
    const { values } = device.disk;
    const good = ["good", 1_767_225_600_000];
    const rows = [
      null,
      5,
      "p",
      {},
      [],
      ["", 1_767_225_600_000],
      ["p", 1e300],
      ["p", -5],
      ["p", 2e14, 7],
      ["p", 1_767_225_600_000, null, 1.5],
      ["p", 1_767_225_600_000, null, null, "long"],
      ["p", "1767225600000"],
    ];
    values.set("impressions/dead/0", JSON.stringify({ v: 1, u: "maria", i: [...rows, good] }));
    for (const [index, text] of [
      "null",
      "5",
      '"text"',
      "[]",
      '{"v":1,"u":"maria"}',
      '{"v":1,"u":"maria","i":{}}',
    ].entries())
      values.set(`impressions/dead/${index + 1}`, text);
    for (const f of ["1e300", '"x"', "{}", "1e14"])
      values.set(`impressions/frame/${f}`, `{"v":1,"u":"maria","f":${f},"i":[["framed",1767225600000]]}`);
    const app = phone.start();
    await world.pass(10 * MINUTE_MS);
    expect([...phone.ledger.instantsOf.keys()]).toEqual(["good"]);
    expect(app.impressions.status()).toEqual({ waiting: 0, acknowledged: 1, dropped: 0 });
    expect(new Set(app.errors.map(({ code }) => code))).toEqual(new Set(["STORAGE"]));
  });

  test("one value that cannot be read does not keep back the others", async () => {
    const phone = createPhone();
    const { world, device } = phone;
    for (const name of ["a", "b", "c"])
      device.disk.values.set(`impressions/${name}/0`, `{"v":1,"u":"maria","i":[["${name}",1767225600000]]}`);
    phone.platform = (platform) => ({
      ...platform,
      storage: {
        ...platform.storage,
        get: (key) => (key.includes("/a/") ? fault() : platform.storage.get(key)),
      },
    });
    const app = phone.start();
    await world.pass(10 * MINUTE_MS);
    expect([...phone.ledger.instantsOf.keys()]).toEqual(["b", "c"]);
    expect(app.errors.map(({ code }) => code)).toContain("STORAGE");
  });
});

describe("in Node", () => {
  test("a directory that cannot be made: told, sent from memory, and the process lives", () => {
    const { path, remove } = createTemporaryDirectory();
    onTestFinished(remove);
    writeFileSync(join(path, "file"), "");
    const node = join(import.meta.dirname, "../../client/src/node.ts");
    const script = `
      import { createImpressions, fileStorage } from ${JSON.stringify(node)};
      const errors = [];
      const storage = fileStorage(${JSON.stringify(join(path, "file/views"))});
      await new Promise((resolve) => setTimeout(resolve, 1));
      const impressions = createImpressions({ endpoint: "http://127.0.0.1:9/", userId: "maria", storage, onError: ({ code }) => errors.push(code) });
      impressions.viewed("p");
      await impressions.close();
      console.log(JSON.stringify([...new Set(errors)].sort()));`;
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      ["--input-type=module-typescript", "-e", script],
      {
        encoding: "utf8",
      },
    );
    expect({ stdout, stderr, status }).toMatchObject({ stdout: '["NETWORK","STORAGE"]\n', status: 0 });
  });

  test("files and directories of others are left alone, and ours are found between them", async () => {
    const { path, remove } = createTemporaryDirectory();
    onTestFinished(remove);
    for (const name of ["%zz.json", "notes.txt", "%00.json"]) writeFileSync(join(path, name), "theirs");
    mkdirSync(join(path, "impressions%2Fdir%2F0.json"));
    writeFileSync(
      join(path, "impressions%2Fdead%2F0.json"),
      '{"v":1,"u":"maria","i":[["ours",1767225600000]]}',
    );
    const bodies: string[] = [];
    const impressions = createImpressionsOn(
      {
        ...nodePlatform({ endpoint: "http://127.0.0.1:9/", storage: fileStorage(path) }),
        async post({ body }) {
          bodies.push(body);
          return { status: 500, retryAfter: null, text: "" };
        },
      },
      { userId: "maria" },
    );
    await impressions.flush();
    expect(bodies.join()).toContain('"ours"');
    await impressions.close();
  });
});

test("made where nothing is as expected: no constructor throws", async () => {
  const errors: string[] = [];
  const onError = ({ code }: { code: string }) => void errors.push(code);
  const account = { endpoint: "http://127.0.0.1:9/", userId: "maria", onError };
  const apps = [
    createOnReactNative({ ...account, appState: undefined as never }),
    createOnReactNative({ ...account, appState: {} as never, netInfo: {} as never }),
    createOnNode({ ...account, fetch: undefined as never, storage: {} as never }),
  ];
  for (const app of apps) {
    app.viewed("p");
    expect(await app.close()).toMatchObject({ waiting: 1 });
  }
  expect(errors).toContain("PLATFORM");
});

test.each([
  ["a browser's error", new TypeError("Failed to fetch"), "TypeError: Failed to fetch"],
  [
    "Node's error",
    new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED 127.0.0.1:4000") }),
    "TypeError: fetch failed (connect ECONNREFUSED 127.0.0.1:4000)",
  ],
  [
    "Node's error of a name with several addresses",
    new TypeError("fetch failed", {
      cause: Object.assign(new AggregateError([]), { code: "ECONNREFUSED" }),
    }),
    "TypeError: fetch failed (ECONNREFUSED)",
  ],
  ["an error without a cause", new TypeError("fetch failed", { cause: null }), "TypeError: fetch failed"],
  ["no error at all", undefined, "undefined"],
])("%s: the address and the reason are reported", async (_what, thrown, reason) => {
  const messages: string[] = [];
  const impressions = createOnNode({
    endpoint: "http://127.0.0.1:4000/graphql",
    userId: "maria",
    fetch: () => Promise.reject(thrown),
    onError: ({ code, message }) => void messages.push(`${code} ${message}`),
  });
  impressions.viewed("p");
  await impressions.flush();
  expect(messages).toEqual([`NETWORK Error: no answer from http://127.0.0.1:4000/graphql: ${reason}`]);
  await impressions.close();
});

function answerAt(receivedAt: string): HttpAnswer {
  const text = JSON.stringify({ data: { recordImpressions: { accepted: 11, receivedAt, flushAfterMs: 0 } } });
  return { status: 200, retryAfter: null, text };
}
