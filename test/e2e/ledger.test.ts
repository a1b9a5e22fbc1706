import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Api, startApi } from "../support/api.ts";
import { createLedger, type Ledger, type SentImpression } from "../support/ledger.ts";

/** An API without workers: what it acknowledges is stored only where the test does it. */
let api: Api;
let ledger: Ledger;

beforeEach(async () => {
  api = await startApi();
  ledger = createLedger();
});
afterEach(() => api.stop());

const NOW_MS = Date.now();
const at = (secondsAgo: number) => new Date(NOW_MS - secondsAgo * 1_000).toISOString();
const LIST: readonly SentImpression[] = [
  { postId: "p1", viewedAt: at(1) },
  { postId: "p1", viewedAt: at(2) },
  { postId: "p2", viewedAt: at(3) },
];

const store = (userId: string, impressions: readonly SentImpression[]) =>
  api.store(
    impressions.map(({ postId, viewedAt }) => ({ userId, postId, viewedAtMs: Date.parse(viewedAt) })),
  );

describe("a ledger", () => {
  test("is content when every acknowledged view is there, and counts", async () => {
    expect(await ledger.send(api.url, "u", LIST)).toMatchObject({ outcome: "acknowledged", status: 200 });
    expect(ledger.acknowledged()).toBe(3);
    await store("u", LIST);
    expect(await ledger.check(api.url)).toEqual({
      acknowledged: 3,
      stored: 3,
      deadLettered: 0,
      storedUnacknowledged: 0,
    });
  });

  test("notices an acknowledged view that is lost, also behind another one of the same post", async () => {
    await ledger.send(api.url, "u", LIST);
    await store("u", LIST.slice(1));
    await expect(ledger.check(api.url)).rejects.toThrow(/views lost: u\np1/);
  });

  test("notices views that were never sent: another view, another post, another viewer", async () => {
    await ledger.send(api.url, "u", LIST);
    await store("u", [...LIST, { postId: "p2", viewedAt: at(4) }]);
    await expect(ledger.check(api.url)).rejects.toThrow(/views twice: u\np2/);
    await store("stranger", [{ postId: "p1", viewedAt: at(5) }]);
    await expect(ledger.check(api.url)).rejects.toThrow(/shows strangers|views twice/);
  });

  test("lets be there or not what was refused or never answered, each instant by itself", async () => {
    const [first, second] = LIST;
    if (first === undefined || second === undefined) throw new Error("a list of three");
    await ledger.send(api.url, "u", [first]);
    expect(await ledger.send("http://127.0.0.1:9", "u", [second])).toMatchObject({ outcome: "unknown" });
    await store("u", [first]);
    expect(await ledger.check(api.url)).toMatchObject({ acknowledged: 1, storedUnacknowledged: 0 });
    await store("u", [second]);
    expect(await ledger.check(api.url)).toMatchObject({ acknowledged: 1, storedUnacknowledged: 1 });
    expect(ledger.outcomes()).toEqual({ acknowledged: 1, unknown: 1 });
  });

  test("is not deceived by a view whose sender never heard of it in the place of an acknowledged one", async () => {
    await ledger.send(api.url, "u", LIST.slice(0, 1));
    await ledger.send("http://127.0.0.1:9", "u", LIST.slice(1, 2));
    await store("u", LIST.slice(1, 2));
    await expect(ledger.check(api.url)).rejects.toThrow(`u\np1 ${LIST[0]?.viewedAt}`);
  });
});
