import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { createImpressionsOn } from "../../client/src/impressions.ts";
import { createImpressions, fileStorage, type NodeOptions, nodePlatform } from "../../client/src/node.ts";
import { outcomeOf } from "../../client/src/protocol.ts";
import { asyncStorage, createImpressions as createOnReactNative } from "../../client/src/react-native.ts";
import { PipelineDocument } from "../../src/generated/operations.ts";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { query } from "../kit/graphql-request.ts";
import { type ServiceProcess, startServiceProcess } from "../kit/service-process.ts";
import { walkSeenPosts } from "../kit/walks.ts";
import { startApi } from "../support/api.ts";
import { createNetwork, type Network } from "./support/network.ts";

/** The SDK against the built service on a real port, over a network that can be cut. */

const WAIT = { timeout: 60_000, interval: 50 };
const USER = "maria";
/** Failures are over soon here. */
const QUICK = { backoffMs: 50, backoffMsMax: 200 };

let dataDir: string;
let service: ServiceProcess;
let network: Network;
let removeDirectory: () => void;
/** Every view that was made, written down outside the SDK. */
let ledger: Set<string>;

beforeEach(async () => {
  const directory = createTemporaryDirectory();
  dataDir = directory.path;
  removeDirectory = directory.remove;
  service = await startServiceProcess({ DATA_DIR: dataDir });
  network = await createNetwork(service.url);
  ledger = new Set();
});

afterEach(async () => {
  await network.close();
  await service.kill("SIGKILL");
  removeDirectory();
});

function start(options: Partial<NodeOptions> = {}) {
  const impressions = createImpressions({
    endpoint: network.url,
    userId: USER,
    ...QUICK,
    ...options,
  } as NodeOptions);
  onTestFinished(async () => void (await impressions.close()));
  return impressions;
}

function view(impressions: { viewed(postId: string): void }, count: number, prefix: string): void {
  for (let index = 0; index < count; index++) {
    ledger.add(`${prefix}-${index}`);
    impressions.viewed(`${prefix}-${index}`);
  }
}

/** The service has every view of the ledger, once, and nothing else. */
async function expectLedger(): Promise<void> {
  const stored = async () => (await walkSeenPosts(service.url, USER)).map(({ post }) => post.id).sort();
  await expect.poll(stored, WAIT).toEqual([...ledger].sort());
  for (const { post, views } of await walkSeenPosts(service.url, USER)) expect(views, post.id).toBe(1);
  expect((await query(service.url, PipelineDocument, {})).pipeline.deadLetters).toBe(0);
}

test("more than ten are sent by themselves; ten are not, until close", async () => {
  const impressions = start();
  view(impressions, 11, "many");
  await expect.poll(() => impressions.status(), WAIT).toEqual({ waiting: 0, acknowledged: 11, dropped: 0 });
  view(impressions, 10, "few");
  await expectNothingMore(impressions, 10);
  expect(await impressions.close()).toEqual({ waiting: 0, acknowledged: 21, dropped: 0 });
  await expectLedger();
});

/** A round trip to the service later these still wait. */
async function expectNothingMore(impressions: ReturnType<typeof start>, waiting: number): Promise<void> {
  await query(service.url, PipelineDocument, {});
  expect(impressions.status().waiting).toBe(waiting);
}

test("few are sent at the latest after the interval", async () => {
  const impressions = start({ sendAfterMs: 200 });
  view(impressions, 1, "single");
  await expect.poll(() => impressions.status().acknowledged, WAIT).toBe(1);
  await expectLedger();
});

test("an app of React Native sends what it has when it goes to the background", async () => {
  const listeners = new Set<(state: string) => void>();
  const values = new Map<string, string>();
  const impressions = createOnReactNative({
    endpoint: network.url,
    userId: USER,
    appState: {
      addEventListener(_type, listener) {
        listeners.add(listener);
        return { remove: () => void listeners.delete(listener) };
      },
    },
    storage: asyncStorage({
      getAllKeys: async () => [...values.keys()],
      getItem: async (key) => values.get(key) ?? null,
      setItem: async (key, value) => void values.set(key, value),
      removeItem: async (key) => void values.delete(key),
    }),
  });
  view(impressions, 4, "feed");
  await expect.poll(() => [...values.values()].join(), WAIT).toContain("feed-3");
  for (const listener of listeners) listener("background");
  await expectLedger();
  await impressions.close();
  expect([...values.keys()]).toEqual(["impressions-clock"]);
  expect(listeners.size).toBe(0);
});

test("an app that is killed, again and again, brings everything home", async () => {
  const directory = createTemporaryDirectory();
  onTestFinished(directory.remove);
  network.state = "down";
  for (let life = 0; life < 3; life++) {
    const app = startApp(directory.path);
    const from = life * 30;
    for (let index = from; index < from + 30; index++) ledger.add(`post-${index}`);
    expect(await app.say(`view ${from} ${from + 30}`)).toMatchObject({ waiting: from + 30, acknowledged: 0 });
    await app.kill();
  }
  // Sent, and killed before any answer: sent again by the next one.
  network.state = "deaf";
  const unheard = startApp(directory.path);
  expect(await unheard.say("flush")).toMatchObject({ waiting: 90 });
  await unheard.kill();
  expect(network.answersLost).toBeGreaterThan(0);
  network.state = "up";
  const last = startApp(directory.path);
  await expect.poll(() => last.say("flush"), WAIT).toMatchObject({ waiting: 0 });
  await last.kill();
  await expectLedger();
});

function startApp(storage: string) {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, "support/app-process.ts"), network.url, storage, USER],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async say(command: string): Promise<unknown> {
      child.stdin.write(`${command}\n`);
      const { value } = await lines.next();
      return JSON.parse(value as string);
    },
    async kill(): Promise<void> {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}

test("offline for long: all of it arrives afterwards, in requests of at most 500", async () => {
  const directory = createTemporaryDirectory();
  onTestFinished(directory.remove);
  network.state = "down";
  const impressions = start({ storage: fileStorage(directory.path) });
  view(impressions, 2_600, "offline");
  await impressions.flush();
  expect(impressions.status()).toEqual({ waiting: 2_600, acknowledged: 0, dropped: 0 });
  network.state = "up";
  await expect.poll(() => impressions.status().waiting, WAIT).toBe(0);
  await expectLedger();
});

test("the service is killed under a request and comes back: resent, nothing lost, nothing doubled", async () => {
  const apps = Array.from({ length: 5 }, () => start());
  const errors: string[] = [];
  apps.push(start({ onError: ({ code }) => errors.push(code) }));
  for (let death = 0; death < 3; death++) {
    network.state = death === 1 ? "deaf" : "up";
    apps.forEach((app, index) => {
      view(app, 40, `death-${death}-app-${index}`);
    });
    if (death === 1) await expect.poll(() => network.answersLost, WAIT).toBeGreaterThan(0);
    await service.kill("SIGKILL");
    service = await startServiceProcess({ DATA_DIR: dataDir });
    network.moveTo(service.url);
    network.state = "up";
  }
  for (const app of apps)
    await expect.poll(() => app.flush(), WAIT).toMatchObject({ waiting: 0, dropped: 0 });
  expect(new Set(errors)).toEqual(new Set(["NETWORK"]));
  await expectLedger();
});

test("a clock that is three hours wrong: the views are dated by the service's", async () => {
  const platform = nodePlatform({ endpoint: network.url });
  const impressions = createImpressionsOn(
    { ...platform, wallMs: () => Date.now() + 3 * 3_600_000 + 10_000 },
    { userId: USER },
  );
  onTestFinished(async () => void (await impressions.close()));
  view(impressions, 11, "before");
  await expect.poll(() => impressions.status().acknowledged, WAIT).toBe(11);
  const fromMs = Date.now();
  view(impressions, 11, "after");
  await impressions.flush();
  const untilMs = Date.now();
  await expectLedger();
  // Round trips are what the offset is known to.
  const slackMs = untilMs - fromMs + 5_000;
  for (const { post, lastViewedAt } of await walkSeenPosts(service.url, USER)) {
    const instantMs = Date.parse(lastViewedAt);
    const toleranceMs = post.id.startsWith("after") ? slackMs : 60_000 + slackMs;
    expect(Math.abs(instantMs - fromMs), post.id).toBeLessThan(toleranceMs);
  }
});

test.each([301, 302, 303, 307, 308])("an endpoint that answers %i: nothing is dropped", async (status) => {
  let moved = true;
  const old = createServer((incoming, answer) => {
    // Mended, it passes on: 307 keeps the method and the body.
    answer.writeHead(moved ? status : 307, { location: `${service.url}/graphql` }).end();
    incoming.resume();
  });
  old.listen(0, "127.0.0.1");
  await once(old, "listening");
  onTestFinished(() => void old.close());
  const errors: string[] = [];
  const dropped: unknown[] = [];
  const impressions = start({
    endpoint: `http://127.0.0.1:${(old.address() as AddressInfo).port}/graphql`,
    onError: ({ message }) => errors.push(message),
    onDropped: (lost) => dropped.push(lost),
  });
  view(impressions, 11, "moved");
  await impressions.flush();
  if (status < 307) expect(errors.join()).toContain(`is the endpoint ${service.url}/graphql?`);
  moved = false;
  await expect.poll(() => impressions.flush(), WAIT).toEqual({ waiting: 0, acknowledged: 11, dropped: 0 });
  expect(dropped).toEqual([]);
  await expectLedger();
});

test("the service's own errors about the list, the schema and the body", async () => {
  const api = await startApi();
  onTestFinished(api.stop);
  const document = (fields: string) =>
    `mutation($input:RecordImpressionsInput!){recordImpressions(input:$input){accepted receivedAt ${fields}}}`;
  const body = (change: object, fields = "flushAfterMs", user: object = { userId: USER }) => {
    const view = { postId: "post", viewedAt: new Date().toISOString() };
    return {
      query: document(fields),
      variables: { input: { ...user, impressions: [view, { ...view, ...change }] } },
    };
  };
  const verdict = async (sent: unknown, headers?: Record<string, string>) => {
    const { status, text } = await api.post(sent, headers);
    const { kind, ...more } = outcomeOf({ status, text, retryAfter: null }, 2, 0);
    return { kind, ...("place" in more ? { place: more.place } : {}) };
  };
  const json = { "content-type": "application/json" };
  // The service compiles a document that comes often; it says the same then.
  for (let time = 0; time < 4; time++) {
    expect(await verdict(body({}))).toEqual({ kind: "accepted" });
    expect(await verdict(body({ surface: "x".repeat(513) }))).toEqual({ kind: "refused", place: 1 });
    for (const kept of [body({ colour: "red" }), body({}, "colour"), body({}, "flushAfterMs", {})])
      expect(await verdict(kept)).toEqual({ kind: "blocked" });
    expect(await verdict("", json)).toEqual({ kind: "blocked" });
    expect(await verdict(JSON.stringify(body({})).slice(0, -30), json)).toEqual({ kind: "blocked" });
  }
});

describe("an overloaded service", () => {
  test("503 with Retry-After from the API itself: waits, sends the same again, and loses nothing", async () => {
    // No workers here: the queue fills, until the test makes room.
    const api = await startApi({ environment: { QUEUE_MAX_BYTES: "1MiB" } });
    onTestFinished(api.stop);
    const errors: { code: string; retryAfterMs?: number }[] = [];
    const impressions = start({ endpoint: `${api.url}/graphql`, onError: (error) => errors.push(error) });
    for (const prefix of ["first", "second"]) {
      for (let index = 0; index < 2_500; index++) {
        const postId = `${prefix}-${index}-${"x".repeat(100)}`;
        ledger.add(postId);
        impressions.viewed(postId, { surface: "y".repeat(64), position: index, dwellMs: 86_400_000 });
      }
    }
    await expect.poll(() => errors.map(({ code }) => code), WAIT).toContain("OVERLOADED");
    expect(errors.find(({ code }) => code === "OVERLOADED")?.retryAfterMs).toBeGreaterThan(0);
    expect(impressions.status()).toMatchObject({ waiting: expect.any(Number), dropped: 0 });
    expect(impressions.status().waiting).toBeGreaterThan(0);

    const received = new Map<string, number>();
    await expect
      .poll(async () => {
        const deliveries = await api.engine.queue.pull({
          maxMessages: 100,
          maxBytes: 10_000_000,
          waitMs: 10,
          signal: new AbortController().signal,
        });
        for (const delivery of deliveries) {
          for (const [, postId = ""] of Buffer.from(delivery.body)
            .toString()
            .matchAll(/"((?:first|second)-\d+-x+)"/g))
            received.set(postId, (received.get(postId) ?? 0) + 1);
        }
        await api.engine.queue.ack(deliveries);
        return impressions.status().waiting + (deliveries.length > 0 ? 1 : 0);
      }, WAIT)
      .toBe(0);
    expect([...received.keys()].sort()).toEqual([...ledger].sort());
    expect(new Set(received.values()), "nothing was accepted twice").toEqual(new Set([1]));
  });
});
