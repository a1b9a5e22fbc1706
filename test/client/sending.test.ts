import { describe, expect, test } from "vitest";
import type { ViewDetails } from "../../client/src/impression.ts";
import { createImpressionsOn } from "../../client/src/impressions.ts";
import type { HttpAnswer } from "../../client/src/platform.ts";
import { createPhone, view } from "./support/phone.ts";
import { accepted, failed } from "./support/virtual-world.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

/** The service's answer if a view of the list breaks a rule. */
const refusedAt = (place: number) =>
  failed(
    400,
    "BAD_USER_INPUT",
    undefined,
    `input.impressions[${place}].surface must have at most 512 characters.`,
  );
/** The service's answer to an unknown field; it repeats the values. */
const UNKNOWN_FIELD =
  'Variable "$input" got invalid value { postId: "p1" } at "input.impressions[1]"; Field "dwellMs" is not defined by type "ImpressionInput".';

describe("when it sends", () => {
  test("at once when more than ten wait, in one request", async () => {
    const { world, requests, ...phone } = createPhone();
    const app = phone.start();
    view(app, 10);
    await world.pass(SECOND_MS);
    expect(requests).toHaveLength(0);
    view(app, 1, "eleventh");
    await world.pass(SECOND_MS);
    expect(requests.map(({ input }) => input.impressions.length)).toEqual([11]);
    expect(app.impressions.status()).toEqual({ waiting: 0, acknowledged: 11, dropped: 0 });
  });

  test("after 30 s any number of views, and then no timer is left", async () => {
    const { world, requests, ...phone } = createPhone();
    const app = phone.start();
    await world.pass(SECOND_MS);
    expect(app.boot.timers()).toBe(0);
    view(app, 1);
    await world.pass(29 * SECOND_MS);
    expect(requests).toHaveLength(0);
    await world.pass(2 * SECOND_MS);
    expect(requests).toHaveLength(1);
    expect(app.boot.timers()).toBe(0);
  });

  test("when the app goes to the background, and what came meanwhile after it", async () => {
    const { world, requests, ...phone } = createPhone();
    const app = phone.start();
    await world.pass(0);
    view(app, 2);
    app.boot.lifecycle()?.background();
    view(app, 3, "q");
    await world.pass(SECOND_MS);
    expect(requests.map(({ input }) => input.impressions.length)).toEqual([2, 3]);
  });

  test("at the end of a page in that very instant, what is not on its way already; it stays stored", async () => {
    const { world, requests, device, ...phone } = createPhone();
    const app = phone.start();
    await world.pass(0);
    view(app, 11);
    await world.pass(1);
    view(app, 4, "last");
    app.boot.lifecycle()?.exit();
    expect(requests.map(({ input }) => input.impressions.length)).toEqual([11, 4]);
    app.boot.kill();
    expect([...device.disk.values.values()].join()).toContain('"last3"');
  });

  test("never two requests at once", async () => {
    const { world, requests, answers, ...phone } = createPhone();
    answers.push("never");
    const app = phone.start();
    await world.pass(0);
    view(app, 30);
    await world.pass(14 * SECOND_MS);
    void app.impressions.flush();
    view(app, 30, "q");
    await world.pass(0);
    expect(requests).toHaveLength(1);
    await world.pass(MINUTE_MS);
    expect(app.errors.map(({ code }) => code)).toEqual(["TIMEOUT"]);
    expect(app.impressions.status()).toMatchObject({ waiting: 0, acknowledged: 60 });
  });

  test("not while there is no network, without a timer; soon after it is back", async () => {
    const { world, requests, device, ...phone } = createPhone();
    device.networkUp.value = false;
    const app = phone.start();
    view(app, 50);
    await world.pass(600 * MINUTE_MS);
    expect(requests).toHaveLength(0);
    expect(app.boot.timers()).toBe(0);
    device.networkUp.value = true;
    app.boot.lifecycle()?.awake();
    await world.pass(2 * SECOND_MS);
    expect(app.impressions.status().acknowledged).toBe(50);
  });

  test("on flush although the system says that there is no network, and flush tells what is left", async () => {
    const { world, device, ...phone } = createPhone();
    device.networkUp.value = false;
    const app = phone.start();
    view(app, 3);
    const flushed = app.impressions.flush();
    await world.pass(SECOND_MS);
    expect(await flushed).toEqual({ waiting: 0, acknowledged: 3, dropped: 0 });
  });

  test("close sends, and nothing is taken after it", async () => {
    const { world, ledger, device, ...phone } = createPhone();
    const app = phone.start();
    view(app, 3);
    const closed = app.impressions.close();
    expect(app.impressions.close()).toBe(closed);
    await world.pass(SECOND_MS);
    expect(await closed).toMatchObject({ waiting: 0, acknowledged: 3 });
    app.impressions.viewed("late");
    await world.pass(MINUTE_MS);
    expect(app.errors).toEqual([{ code: "CLOSED", message: 'viewed("late") was called after close' }]);
    expect(await app.impressions.flush()).toMatchObject({ waiting: 0 });
    expect(ledger.instantsOf.size).toBe(3);
    expect(app.boot.timers()).toBe(0);
    expect([...device.disk.values.keys()]).toEqual(["impressions-clock"]);
  });

  test("close ends in time where the server never answers, and the views stay stored", async () => {
    const { world, answers, device, ...phone } = createPhone();
    answers.push("never");
    const app = phone.start();
    view(app, 3);
    const closed = app.impressions.close();
    await world.pass(11 * SECOND_MS);
    expect(await closed).toMatchObject({ waiting: 3 });
    expect(app.boot.timers()).toBe(0);
    expect([...device.disk.values.values()].join()).toContain('"p2"');
  });
});

describe("the outcome of an answer", () => {
  test("OVERLOADED: not before retryAfterMs, whatever happens, and then all of it", async () => {
    const { world, requests, answers, ...phone } = createPhone();
    answers.push(failed(503, "OVERLOADED", 20_000));
    const app = phone.start();
    view(app, 11);
    await world.pass(SECOND_MS);
    app.boot.lifecycle()?.background();
    app.boot.lifecycle()?.awake();
    app.boot.lifecycle()?.exit();
    view(app, 11, "more");
    expect(await app.impressions.flush()).toMatchObject({ waiting: 22 });
    await world.pass(18 * SECOND_MS);
    expect(requests).toHaveLength(1);
    await world.pass(4 * SECOND_MS);
    expect(app.impressions.status()).toMatchObject({ waiting: 0, acknowledged: 22 });
    expect(app.errors).toMatchObject([{ code: "OVERLOADED", retryAfterMs: 20_000 }]);
  });

  test.each([
    ["seconds", "30", 30_000],
    ["a date", new Date(Date.UTC(2026, 0, 1, 0, 0, 31)).toUTCString(), 30_000],
  ])("Retry-After of a proxy, in %s", async (_form, retryAfter, waitMs) => {
    const { world, requests, answers, ...phone } = createPhone();
    answers.push({ status: 429, retryAfter, text: "slow down" });
    const app = phone.start();
    view(app, 11);
    await world.pass(waitMs - 2 * SECOND_MS);
    expect(requests).toHaveLength(1);
    await world.pass(4 * SECOND_MS);
    expect(requests).toHaveLength(2);
    expect(app.errors).toMatchObject([{ code: "HTTP_429" }]);
  });

  test("flushAfterMs holds the next request back", async () => {
    const { world, requests, answers, ...phone } = createPhone();
    const text = JSON.stringify({
      data: {
        recordImpressions: { accepted: 11, receivedAt: "2026-01-01T00:00:00.000Z", flushAfterMs: 9_000 },
      },
    });
    answers.push({ status: 200, retryAfter: null, text });
    const app = phone.start();
    view(app, 11);
    await world.pass(SECOND_MS);
    view(app, 11, "q");
    await world.pass(7 * SECOND_MS);
    expect(requests).toHaveLength(1);
    await world.pass(2 * SECOND_MS);
    expect(requests).toHaveLength(2);
  });

  test("failures without a wish: waits that grow, up to five minutes", async () => {
    const { world, requests, answers, ...phone } = createPhone();
    for (let count = 0; count < 40; count++) answers.push(failed(500, "INTERNAL_SERVER_ERROR"));
    const app = phone.start();
    view(app, 11);
    await world.pass(60 * MINUTE_MS);
    const waits = requests.slice(1).map(({ atMs }, index) => atMs - (requests[index]?.atMs ?? 0));
    expect(Math.max(...waits)).toBeLessThanOrEqual(300 * SECOND_MS + 100);
    expect(Math.max(...waits.slice(0, 2))).toBeLessThanOrEqual(4 * SECOND_MS + 100);
    // Full jitter: half of the longest wait on average, an hour has about 24 of them.
    expect(requests.length).toBeGreaterThan(12);
    expect(requests.length).toBeLessThan(41);
    expect(app.impressions.status().waiting).toBe(11);
  });

  test("BATCH_TOO_LARGE: halves until they fit, at once, and never asks for more again", async () => {
    const { world, requests, answers, ...phone } = createPhone();
    answers.push(failed(413, "BATCH_TOO_LARGE"), {
      status: 413,
      retryAfter: null,
      text: "<html>nginx</html>",
    });
    const app = phone.start();
    view(app, 40);
    await world.pass(2 * SECOND_MS);
    expect(requests.map(({ input }) => input.impressions.length)).toEqual([40, 20, 10, 10, 10, 10]);
    view(app, 40, "q");
    await world.pass(2 * SECOND_MS);
    expect(requests.slice(6).map(({ input }) => input.impressions.length)).toEqual([10, 10, 10, 10]);
    expect(app.errors).toEqual([]);
  });

  test("a single view that is too large is dropped and told", async () => {
    const { world, answers, ...phone } = createPhone();
    answers.push(failed(413, "BATCH_TOO_LARGE"));
    const app = phone.start();
    view(app, 1);
    void app.impressions.flush();
    await world.pass(SECOND_MS);
    expect(app.dropped).toEqual([{ postIds: ["p0"], reason: "REFUSED", total: 1 }]);
  });

  test("a view that the server refuses by its place: dropped alone, told, gone from the storage", async () => {
    const { world, requests, answers, ledger, device, ...phone } = createPhone();
    answers.push(refusedAt(3));
    const app = phone.start();
    view(app, 11);
    await world.pass(60 * MINUTE_MS);
    expect(requests.map(({ input }) => input.impressions.length)).toEqual([11, 10]);
    expect(app.errors).toMatchObject([{ code: "BAD_USER_INPUT" }]);
    expect(app.dropped).toEqual([{ postIds: ["p3"], reason: "REFUSED", total: 1 }]);
    expect(ledger.instantsOf.size).toBe(10);
    expect(app.impressions.status()).toEqual({ waiting: 0, acknowledged: 10, dropped: 1 });
    expect([...device.disk.values.keys()]).toEqual(["impressions-clock"]);
  });

  test("a server that refuses one after the other is not asked without a pause", async () => {
    const { world, requests, answers, ...phone } = createPhone();
    for (let count = 0; count < 11; count++) answers.push(refusedAt(0));
    const app = phone.start({ backoffMs: 60_000 });
    view(app, 11);
    await world.pass(2 * SECOND_MS);
    expect(requests.length).toBeLessThan(5);
    await world.pass(120 * MINUTE_MS);
    expect(app.impressions.status()).toEqual({ waiting: 0, acknowledged: 0, dropped: 11 });
  });

  /** Whatever is not about the views keeps them. */
  const html = (status: number): HttpAnswer => ({ status, retryAfter: null, text: "<html>moved</html>" });
  test.each<[string, HttpAnswer]>([
    ["FORBIDDEN", failed(403, "FORBIDDEN")],
    ["UNAUTHENTICATED", failed(401, "UNAUTHENTICATED")],
    ["a wrong path", failed(404, "BAD_USER_INPUT")],
    ["a GET that a redirect made of the POST", failed(400, "BAD_USER_INPUT")],
    ["a wrong method", failed(405, "BAD_USER_INPUT")],
    ["a wrong media type", failed(415, "BAD_USER_INPUT")],
    ["a lost body", failed(400, "BAD_USER_INPUT", undefined, "The body must be JSON")],
    ["a field that an older server does not know", failed(400, "BAD_USER_INPUT", undefined, UNKNOWN_FIELD)],
    ["the same of a server in the usual words", failed(400, "GRAPHQL_VALIDATION_FAILED")],
    ["the same with status 200", failed(200, "GRAPHQL_VALIDATION_FAILED")],
    ["a missing userId", failed(400, "BAD_USER_INPUT", undefined, "input.userId is required")],
    ["a place that was not sent", refusedAt(11)],
    ["a document that is not trusted", failed(400, "BAD_USER_INPUT", undefined, "not a trusted document")],
    ["a hash that is not known", failed(200, "PERSISTED_QUERY_NOT_FOUND")],
    ["a login page", html(407)],
    ["a login page that says 200", html(200)],
    ["an answer that was cut", { ...accepted(0), text: accepted(0).text.slice(0, -9) }],
    ["an empty answer", { status: 200, retryAfter: null, text: "" }],
    ["no content", { status: 204, retryAfter: null, text: "" }],
    ["an opaque redirect", { status: 0, retryAfter: null, text: "" }],
    ...[301, 302, 303, 307, 308, 400, 410, 421, 426, 431, 451, 500, 501, 502, 504, 505, 511, 520].map(
      (status): [string, HttpAnswer] => [`status ${status}`, html(status)],
    ),
    ["success that is a redirect's", { ...accepted(0), status: 302 }],
    ["JSON that is no object", { status: 200, retryAfter: null, text: "[null]" }],
    ["errors that are none", { status: 400, retryAfter: null, text: '{"errors":[null]}' }],
    [
      "a code that is no text",
      { status: 400, retryAfter: null, text: '{"errors":[{"extensions":{"code":7}}]}' },
    ],
  ])("%s: nothing is dropped, and all arrives when it is mended", async (_what, answer) => {
    const { world, answers, ledger, device, ...phone } = createPhone();
    for (let count = 0; count < 5; count++) answers.push(answer);
    const app = phone.start();
    view(app, 11);
    await world.pass(100);
    expect([...device.disk.values.values()].join()).toContain('"p10"');
    await world.pass(60 * MINUTE_MS);
    expect(app.dropped).toEqual([]);
    expect(app.errors.length).toBeGreaterThanOrEqual(5);
    for (const { code, message } of app.errors)
      expect([typeof code, typeof message]).toEqual(["string", "string"]);
    expect(app.impressions.status()).toEqual({ waiting: 0, acknowledged: 11, dropped: 0 });
    expect(ledger.instantsOf.size).toBe(11);
  });

  test("FORBIDDEN: it is tried again after ten minutes, not sooner", async () => {
    const { world, requests, answers, ...phone } = createPhone();
    answers.push(failed(403, "FORBIDDEN"));
    const app = phone.start();
    view(app, 11);
    await world.pass(SECOND_MS);
    view(app, 11, "q");
    await world.pass(9 * MINUTE_MS);
    expect(requests).toHaveLength(1);
    await world.pass(2 * MINUTE_MS);
    expect(app.impressions.status()).toMatchObject({ waiting: 0, acknowledged: 22, dropped: 0 });
  });

  test.each([
    ["a field", failed(400, "BAD_USER_INPUT", undefined, UNKNOWN_FIELD)],
    ["its size", html(413)],
  ])(
    "one view that is refused for %s without being named does not keep back the others",
    async (_what, answer) => {
      const phone = createPhone();
      phone.refuse = (postIds) => (postIds.includes("p2") ? answer : undefined);
      const app = phone.start();
      view(app, 40);
      await phone.world.pass(24 * 60 * MINUTE_MS);
      expect(app.impressions.status()).toEqual({ waiting: 1, acknowledged: 39, dropped: 0 });
      phone.refuse = () => undefined;
      await phone.world.pass(60 * MINUTE_MS);
      expect(app.impressions.status()).toEqual({ waiting: 0, acknowledged: 40, dropped: 0 });
    },
  );

  test("UNAUTHENTICATED: asks for a fresh token once, and identifies the user by the token alone", async () => {
    const { world, requests, answers, ...phone } = createPhone();
    answers.push(failed(401, "UNAUTHENTICATED"));
    const app = phone.start({
      userId: undefined as never,
      getToken: async (refused) => (refused ? "fresh" : "stale"),
    });
    view(app, 11);
    await world.pass(SECOND_MS);
    expect(requests.map(({ headers }) => headers.authorization)).toEqual(["Bearer stale", "Bearer fresh"]);
    expect(requests[1]?.input).not.toHaveProperty("userId");
    expect(app.impressions.status().acknowledged).toBe(11);
    expect(app.errors).toEqual([]);
  });

  test("a token that cannot be had: the views wait", async () => {
    const { world, ...phone } = createPhone();
    let signedIn = false;
    const app = phone.start({
      getToken: () => (signedIn ? "token" : Promise.reject(new Error("signed out"))),
    });
    view(app, 11);
    await world.pass(SECOND_MS);
    expect(app.errors[0]).toMatchObject({ code: "TOKEN", message: "Error: signed out" });
    signedIn = true;
    await world.pass(5 * SECOND_MS);
    expect(app.impressions.status().acknowledged).toBe(11);
  });
});

describe("the arguments of viewed", () => {
  const x = (length: number) => "x".repeat(length);
  test.each<[string, string, ViewDetails, string]>([
    ["no id", "", {}, 'viewed(""): postId must be a string that is not empty'],
    ["a junk id", "undefined", {}, 'viewed("undefined"): postId must be a real id, not the text "undefined"'],
    ["no string", 5 as never, {}, "viewed(number): postId must be a string that is not empty"],
    [
      "a control character",
      "a\u0000",
      {},
      String.raw`viewed("a\u0000"): postId must not contain control characters`,
    ],
    [
      "half of a surrogate pair",
      "\ud800",
      {},
      String.raw`viewed("\ud800"): postId must be well-formed Unicode`,
    ],
    ["a long id", x(129), {}, `viewed("${x(40)}"): postId must have at most 128 characters`],
    [
      "a long surface",
      "p",
      { surface: x(65) },
      'viewed("p"): surface must be a string of at most 64 characters',
    ],
    [
      "a fraction of a place",
      "p",
      { position: 1.5 },
      'viewed("p"): position must be an integer from 0 to 100000, not 1.5',
    ],
    ["a negative stay", "p", { dwellMs: -1 }, 'viewed("p"): dwellMs must be from 0 to 86400000, not -1'],
    [
      "a stay that is none",
      "p",
      { dwellMs: Symbol("s") as never },
      'viewed("p"): dwellMs must be from 0 to 86400000, not Symbol(s)',
    ],
    ["no date", "p", { at: new Date("yesterday") }, 'viewed("p"): at must be a valid date from 1970 on'],
  ])("%s is reported with the call, and not sent", async (_what, postId, details, message) => {
    const { world, requests, ...phone } = createPhone();
    const app = phone.start();
    app.impressions.viewed(postId, details);
    app.impressions.viewed("good", { surface: "HOME", position: 3, dwellMs: 1_200.4 });
    void app.impressions.flush();
    await world.pass(SECOND_MS);
    expect(app.errors).toEqual([{ code: "INVALID_IMPRESSION", message }]);
    expect(requests[0]?.input.impressions).toMatchObject([
      { postId: "good", surface: "HOME", position: 3, dwellMs: 1_200 },
    ]);
    expect(requests[0]?.input.impressions).toHaveLength(1);
  });

  test("five thousand at most: the oldest are dropped, counted and told", async () => {
    const { world, device, ...phone } = createPhone();
    device.networkUp.value = false;
    const app = phone.start();
    await world.pass(0);
    view(app, 5_003);
    expect(app.dropped.map(({ postIds }) => postIds)).toEqual([["p0"], ["p1"], ["p2"]]);
    expect(app.impressions.status()).toEqual({ waiting: 5_000, acknowledged: 0, dropped: 3 });
  });

  test("requests stay under the platform's bytes and the server's 500", async () => {
    const { world, requests, ...phone } = createPhone();
    const app = phone.start();
    for (let index = 0; index < 1_500; index++) app.impressions.viewed(`${"é😀".repeat(60)}${index}`);
    await world.pass(MINUTE_MS);
    expect(app.impressions.status().acknowledged).toBe(1_500);
    for (const { body, input } of requests) {
      expect(Buffer.byteLength(body)).toBeLessThanOrEqual(240_000);
      expect(input.impressions.length).toBeLessThanOrEqual(500);
    }
    expect(requests.length).toBeLessThanOrEqual(5);
  });

  test.each([
    [{ userId: undefined }, TypeError],
    [{ userId: "null" }, TypeError],
    [{ sendAfterMs: 0 }, RangeError],
    [{ batchMax: 501 }, RangeError],
    [{ backoffMs: Number.NaN }, RangeError],
  ])("%o is a mistake that is found at once", (options, error) => {
    const { device } = createPhone();
    const { platform } = device.boot();
    expect(() => createImpressionsOn(platform, { userId: "maria", ...options } as never)).toThrow(error);
  });

  test("a callback that throws disturbs nothing", async () => {
    const { world, answers, ...phone } = createPhone();
    answers.push(failed(500, "INTERNAL_SERVER_ERROR"));
    const app = phone.start({
      onError: () => {
        throw new Error("the app's own fault");
      },
    });
    view(app, 11);
    await world.pass(MINUTE_MS);
    expect(app.impressions.status().acknowledged).toBe(11);
  });
});
