import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeMessage, type UnjudgedSubmission } from "../../src/domain/queue-message.ts";
import { systemClock } from "../../src/domain/time.ts";
import { type Api, startApi } from "../support/api.ts";

/** The write side: what an accepted list looks like in the queue. */

const NOW_MS = Date.parse("2026-11-22T10:15:30.123Z");
const RECORD =
  "mutation ($input: RecordImpressionsInput!) { recordImpressions(input: $input) { accepted receivedAt flushAfterMs } }";

let api: Api;
beforeEach(async () => {
  api = await startApi({ clock: { ...systemClock, nowMs: () => NOW_MS } });
});
afterEach(() => api.stop());

const record = (input: unknown) => api.run(RECORD, { input });
const at = (offsetMs: number) => new Date(NOW_MS + offsetMs).toISOString();

async function queued(): Promise<UnjudgedSubmission[]> {
  const deliveries = await api.engine.queue.pull({
    maxMessages: 100,
    maxBytes: 1e9,
    waitMs: 5_000,
    signal: new AbortController().signal,
  });
  return deliveries.flatMap(({ body }) => {
    const message = decodeMessage(body);
    if (message.kind === "unreadable") throw new Error(message.detail);
    return message.submissions;
  });
}

describe("recordImpressions", () => {
  test("answers when the queue holds the list, and the queue holds just that", async () => {
    const impressions = [
      { postId: "p1", viewedAt: at(-1_000), surface: "HOME", position: 3, dwellMs: 1_200 },
      { postId: "p2", viewedAt: "2026-11-22T15:45:29.1239+05:30" },
    ];
    expect(await record({ userId: "u1", impressions })).toEqual({
      recordImpressions: { accepted: 2, receivedAt: "2026-11-22T10:15:30.123Z", flushAfterMs: 0 },
    });
    expect(await queued()).toEqual([
      {
        userId: "u1",
        receivedAtUs: NOW_MS * 1_000,
        isReplay: false,
        impressions: [
          { postId: "p1", viewedAtMs: NOW_MS - 1_000, surface: "HOME", position: 3, dwellMs: 1_200 },
          { postId: "p2", viewedAtMs: NOW_MS - 1_000 },
        ],
      },
    ]);
  });

  test("accepts what only the worker can refuse, so that neighbours are stored", async () => {
    const bad = [
      { postId: "", viewedAt: at(0) },
      { postId: "p\u0000", viewedAt: at(0) },
      { postId: "p\ud800", viewedAt: at(0) },
      { postId: "null", viewedAt: at(0) },
      { postId: "x".repeat(512), viewedAt: at(0) },
      { postId: "🛒".repeat(512), viewedAt: at(0), surface: "🛒".repeat(512) },
      { postId: "p", viewedAt: at(0), position: -1, dwellMs: -5 },
      { postId: "p", viewedAt: "9999-12-31T23:59:59Z" },
      { postId: "p", viewedAt: "0000-01-01T00:00:00Z" },
    ];
    expect(await record({ userId: "u1", impressions: bad })).toMatchObject({
      recordImpressions: { accepted: bad.length },
    });
    const [submission] = await queued();
    expect(submission?.impressions.map(({ postId }) => postId)).toEqual(bad.map(({ postId }) => postId));
  });

  test("takes 500 impressions, and ids that are numbers as their texts", async () => {
    const impressions = Array.from({ length: 500 }, (_, index) => ({ postId: index, viewedAt: at(-index) }));
    expect(await record({ userId: 42, impressions })).toMatchObject({ recordImpressions: { accepted: 500 } });
    const [submission] = await queued();
    expect(submission?.userId).toBe("42");
    expect(submission?.impressions.at(-1)).toEqual({ postId: "499", viewedAtMs: NOW_MS - 499 });
  });

  test.each([
    ["no sentAt", null, 0],
    ["a clock that is 4 minutes slow", -4 * 60_000, 0],
    ["an hour under way, or a clock that is as much slow", -3_600_000, 0],
    ["a clock that is a day fast", 86_400_000, -86_400_000],
  ])("%s moves viewedAt accordingly", async (_name, offsetMs, shiftMs) => {
    const sentAt = offsetMs === null ? {} : { sentAt: at(offsetMs) };
    await record({ userId: "u1", impressions: [{ postId: "p", viewedAt: at(-60_000) }], ...sentAt });
    const [submission] = await queued();
    expect(submission?.impressions).toEqual([{ postId: "p", viewedAtMs: NOW_MS - 60_000 + shiftMs }]);
  });

  test("nulls and absent fields are the same", async () => {
    const nulls = { surface: null, position: null, dwellMs: null };
    await record({ userId: "u1", impressions: [{ postId: "p", viewedAt: at(0), ...nulls }], sentAt: null });
    const [submission] = await queued();
    expect(submission?.impressions).toEqual([{ postId: "p", viewedAtMs: NOW_MS }]);
  });

  test("a known hash stands for its text, an unknown one is asked for", async () => {
    const hash = Buffer.from(await crypto.subtle.digest("SHA-256", Buffer.from(RECORD))).toString("hex");
    const extensions = { persistedQuery: { version: 1, sha256Hash: hash } };
    const variables = { input: { userId: "u1", impressions: [{ postId: "p", viewedAt: at(0) }] } };
    const unknown = await api.post({ extensions, variables });
    expect(unknown.status).toBe(200);
    expect(unknown.json.errors?.[0]).toMatchObject({
      message: expect.stringMatching(/^This hash is not known yet/),
      extensions: { code: "PERSISTED_QUERY_NOT_FOUND" },
    });
    const taught = await api.post({ query: RECORD, extensions, variables });
    expect(taught.json.errors).toBeUndefined();
    const known = await api.post({ extensions, variables });
    expect(known.json.data).toMatchObject({ recordImpressions: { accepted: 1 } });
  });
});
