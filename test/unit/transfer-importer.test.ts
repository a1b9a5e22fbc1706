import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Submission } from "../../src/domain/impression.ts";
import { decodeMessage } from "../../src/domain/queue-message.ts";
import { DAY_MS, systemClock } from "../../src/domain/time.ts";
import { createGroupCommit } from "../../src/ingest/group-commit.ts";
import { createReceivedAtClock } from "../../src/ingest/received-at-clock.ts";
import { QueueFullError, QueueUnavailableError } from "../../src/ports/errors.ts";
import type { ImportProgress } from "../../src/transfer/checkpoint.ts";
import { BadLineError, TransferError, TransferStalledError } from "../../src/transfer/errors.ts";
import { NO_LINES } from "../../src/transfer/import-counters.ts";
import { type ImportOptions, importLines } from "../../src/transfer/importer.ts";
import { openRejectsFile, sampleRejects } from "../../src/transfer/rejects.ts";
import { createSubmissionBuilder } from "../../src/transfer/submission-builder.ts";
import { createSubmissionSender } from "../../src/transfer/submission-sender.ts";

const RETENTION_MS = 90 * DAY_MS;
const NOW_MS = Date.parse("2026-11-22T12:00:00Z");
const clock = { ...systemClock, nowMs: () => NOW_MS };
const START: ImportProgress = { offset: 0, line: 0, counters: NO_LINES, rejectsBytes: 0 };
const FRESH = "2026-11-22T10:00:00Z";

const newBuilder = (takesLostCharacters = false) =>
  createSubmissionBuilder({
    receivedAt: createReceivedAtClock(clock),
    clock,
    retentionMs: RETENTION_MS,
    takesLostCharacters,
  });

const lineOf = (fields: object) => JSON.stringify({ userId: "u", postId: "p", viewedAt: FRESH, ...fields });
const linesOf = (count: number, fields: (index: number) => object) =>
  Array.from({ length: count }, (_, index) => lineOf(fields(index)));

async function* chunksOf(lines: readonly string[]): AsyncGenerator<Buffer> {
  for (const line of lines) yield Buffer.from(`${line}\n`);
}

/** An import whose queue takes everything, and what it sent and saved. */
function importing(lines: readonly string[], options: Partial<ImportOptions> = {}) {
  const sent: Submission[] = [];
  const saved: ImportProgress[] = [];
  const outcome = importLines({
    chunks: chunksOf(lines),
    clock,
    start: START,
    builder: newBuilder(),
    room: async () => undefined,
    send: async (submissions) => {
      sent.push(...submissions);
    },
    rejects: sampleRejects(),
    save: async (progress) => {
      saved.push(progress);
    },
    onProgress: () => undefined,
    strict: false,
    signal: new AbortController().signal,
    ...options,
  });
  return { sent, saved, outcome };
}

describe("ids that lost their characters on the way here", () => {
  const LOST = ["?", "??", "?".repeat(128), "M\ufffdller", "\ufffd"];
  const WHOLE = ["what?", "?a", "日本", "¿", "？", "", " ?"];

  test.each(LOST)("are rejected, so that two users do not become one: %j", async (id) => {
    const { sent, outcome } = importing([
      lineOf({ userId: id }),
      lineOf({ postId: id, receivedAt: "2026-11-22T10:00:01Z" }),
      lineOf({ postId: "p2" }),
    ]);
    expect((await outcome).progress.counters).toMatchObject({
      accepted: 1,
      rejected: { LOST_CHARACTERS: 2 },
    });
    expect(sent.flatMap(({ impressions }) => impressions.map(({ postId }) => postId))).toEqual(["p2"]);
  });

  test("are told with the line's number, the field and what to do", async () => {
    const rejects = sampleRejects();
    await importing([lineOf({ postId: "??" })], { rejects }).outcome;
    expect(rejects.shown).toMatchObject([
      {
        line: { number: 1 },
        rejection: {
          reason: "LOST_CHARACTERS",
          detail: expect.stringMatching(/^postId "\?\?" .*export the file anew.*--allow-lost-characters/),
        },
      },
    ]);
  });

  test("are accepted with --allow-lost-characters", async () => {
    const lines = LOST.map((userId) => lineOf({ userId }));
    const { outcome } = importing(lines, { builder: newBuilder(true) });
    expect((await outcome).progress.counters).toMatchObject({ accepted: LOST.length, rejected: {} });
  });

  test("are told from others, from lines that are wrong anyway, and from views that are too old", async () => {
    const { outcome } = importing([
      ...WHOLE.map((postId) => lineOf({ postId })),
      lineOf({ postId: "??", position: -1 }),
      lineOf({ postId: "??", viewedAt: "2020-01-01T00:00:00Z" }),
    ]);
    expect((await outcome).progress.counters).toMatchObject({
      accepted: WHOLE.length - 1,
      old: 1,
      rejected: { INVALID_POST_ID: 1, INVALID_FIELD: 1 },
    });
  });
});

describe("submissions", () => {
  test("consecutive lines of one user go together, at most 500, in the order of the file", async () => {
    const lines = [
      ...linesOf(700, (n) => ({ postId: `p${n}` })),
      lineOf({ userId: "other" }),
      lineOf({ postId: "last" }),
    ];
    const { sent, outcome } = importing(lines);
    await outcome;
    expect(sent.map(({ userId, impressions }) => [userId, impressions.length])).toEqual([
      ["u", 500],
      ["u", 200],
      ["other", 1],
      ["u", 1],
    ]);
    expect(sent.flatMap(({ impressions }) => impressions.map(({ postId }) => postId)).slice(0, 700)).toEqual(
      Array.from({ length: 700 }, (_, n) => `p${n}`),
    );
  });

  test("a given receivedAt is kept; lines without one are stamped, later lines later", async () => {
    const first = "2026-11-22T10:00:01.000001Z";
    const second = "2026-11-22T10:00:01.000002Z";
    const { sent, outcome } = importing([
      lineOf({ postId: "a", receivedAt: first }),
      lineOf({ postId: "b", receivedAt: first }),
      lineOf({ postId: "c", receivedAt: second }),
      lineOf({ postId: "d" }),
      lineOf({ postId: "e", userId: "other" }),
    ]);
    await outcome;
    const firstUs = Date.parse("2026-11-22T10:00:01Z") * 1_000 + 1;
    expect(sent.map(({ receivedAtUs }) => receivedAtUs)).toEqual([
      firstUs,
      firstUs + 1,
      NOW_MS * 1_000,
      NOW_MS * 1_000 + 1,
    ]);
    expect(sent[0]?.impressions).toHaveLength(2);
  });

  test("of versions of one view the last line is the latest, and those with a receivedAt are received at it", async () => {
    const given = "2026-11-22T10:00:01.000001Z";
    const odd = lineOf({ postId: { toString: 7 } });
    const { sent, outcome } = importing([
      ...linesOf(3, (position) => ({ position })),
      odd,
      odd,
      ...linesOf(2, (position) => ({ position, receivedAt: given })),
    ]);
    expect((await outcome).progress.counters.accepted).toBe(5);
    const givenUs = Date.parse("2026-11-22T10:00:01Z") * 1_000 + 1;
    expect(
      sent.map(({ receivedAtUs, impressions }) => [receivedAtUs, impressions.map((i) => i.position)]),
    ).toEqual([
      [NOW_MS * 1_000, [0]],
      [NOW_MS * 1_000 + 1, [1]],
      [NOW_MS * 1_000 + 2, [2]],
      [givenUs, [0]],
      [givenUs, [1]],
    ]);
  });

  test("the longest lines there can be still make submissions that the queue takes", async () => {
    const messages: string[] = [];
    const groupCommit = createGroupCommit({
      publish: async ({ body }) => void messages.push(body),
      newMessageId: () => "id",
      inFlightMax: 2,
      pendingMutationsMax: 10_000,
      pendingBytesMax: 32 * 1024 * 1024,
      waitMsMax: 60_000,
      monotonicMs: () => performance.now(),
    });
    const sender = createSubmissionSender({ clock, groupCommit, queue: emptyQueue });
    const id = "\u{1f600}".repeat(128);
    const lines = linesOf(1_000, (n) => ({
      userId: id,
      postId: `${id.slice(0, -10)}${n}`,
      surface: "\u0001".repeat(64),
      position: 100_000,
      dwellMs: 86_400_000,
    }));
    const { progress } = await importing(lines, { send: sender.send, room: sender.room }).outcome;
    expect(progress.counters.accepted).toBe(1_000);
    expect(impressionsIn(messages)).toBe(1_000);
  });
});

describe("verdicts", () => {
  test("old lines are counted apart, whether old when received or only by now", async () => {
    const { sent, outcome } = importing([
      lineOf({ viewedAt: "2026-01-01T00:00:00Z" }),
      lineOf({ viewedAt: "2026-01-01T00:00:00Z", receivedAt: "2026-01-01T00:00:01Z" }),
      lineOf({}),
    ]);
    const { progress } = await outcome;
    expect(progress.counters).toEqual({ lines: 3, accepted: 1, old: 2, rejected: {} });
    expect(sent).toHaveLength(1);
  });

  test("bad lines are counted by reason and cost their neighbours nothing", async () => {
    const lines = [
      lineOf({ postId: "good" }),
      "not json",
      lineOf({ typo: 1 }),
      lineOf({ userId: 7 }),
      lineOf({ postId: "" }),
      lineOf({ position: -1 }),
      lineOf({ viewedAt: "2026-11-22T13:00:00Z" }),
      lineOf({ receivedAt: "2026-11-22T12:00:05.000001Z" }),
      "x".repeat(100_000),
      lineOf({ postId: "good too" }),
    ];
    const { sent, outcome } = importing(lines);
    const { progress } = await outcome;
    expect(progress.counters).toEqual({
      lines: 10,
      accepted: 2,
      old: 0,
      rejected: {
        UNREADABLE_LINE: 1,
        UNKNOWN_FIELD: 1,
        INVALID_USER_ID: 1,
        INVALID_POST_ID: 1,
        INVALID_FIELD: 2,
        VIEWED_IN_FUTURE: 1,
        LINE_TOO_LONG: 1,
      },
    });
    expect(sent.flatMap(({ impressions }) => impressions.map(({ postId }) => postId))).toEqual([
      "good",
      "good too",
    ]);
  });

  test("strict stops at the first bad line; those before it are durable and saved", async () => {
    const { sent, saved, outcome } = importing(
      [lineOf({ postId: "a" }), lineOf({ typo: 1 }), lineOf({ postId: "b" })],
      {
        strict: true,
      },
    );
    await expect(outcome).rejects.toThrow(BadLineError);
    await expect(outcome).rejects.toThrow("line 2: UNKNOWN_FIELD");
    expect(sent.flatMap(({ impressions }) => impressions.map(({ postId }) => postId))).toEqual(["a"]);
    expect(saved.at(-1)).toMatchObject({ line: 1, counters: { accepted: 1 } });
  });

  test("a file that is something else is refused, not rejected line by line", async () => {
    const lines = Array.from({ length: 5_000 }, (_, n) => `u${n},p${n},2026-11-22`);
    const { saved, outcome } = importing(lines);
    await expect(outcome).rejects.toThrow(TransferError);
    expect(saved).toEqual([]);
  });
});

describe("progress", () => {
  test("never passes a batch that is not durable, though later ones are", async () => {
    const lines = linesOf(5_500, (n) => ({ postId: `p${n}` }));
    let batch = 0;
    const { saved, outcome } = importing(lines, {
      send: async () => {
        batch++;
        if (batch === 3) throw new TransferStalledError("the queue took nothing");
      },
    });
    await expect(outcome).rejects.toThrow("the queue took nothing");
    const endOfSecondBatch = Buffer.byteLength(`${lines.slice(0, 2_000).join("\n")}\n`);
    expect(saved.at(-1)).toMatchObject({
      offset: endOfSecondBatch,
      line: 2_000,
      counters: { accepted: 2_000 },
    });
  });

  test("goes on where it was, counts and all", async () => {
    const lines = linesOf(3_000, (n) => (n % 10 === 0 ? { typo: n } : { postId: `p${n}` }));
    const half: ImportProgress = {
      offset: Buffer.byteLength(`${lines.slice(0, 1_500).join("\n")}\n`),
      line: 1_500,
      counters: { lines: 1_500, accepted: 1_350, old: 0, rejected: { UNKNOWN_FIELD: 150 } },
      rejectsBytes: 0,
    };
    const { outcome } = importing(lines.slice(1_500), { start: half });
    expect((await outcome).progress).toMatchObject({
      line: 3_000,
      counters: { lines: 3_000, accepted: 2_700, rejected: { UNKNOWN_FIELD: 300 } },
    });
  });

  test("a stop drops nothing that was sent and claims nothing that was not", async () => {
    const lines = linesOf(50_000, (n) => ({ postId: `p${n}` }));
    const stop = new AbortController();
    const { sent, saved, outcome } = importing(lines, {
      signal: stop.signal,
      onProgress: ({ line }) => {
        if (line >= 10_000) stop.abort();
      },
    });
    const { isComplete, progress } = await outcome;
    expect(isComplete).toBe(false);
    expect(progress.line).toBeGreaterThanOrEqual(10_000);
    expect(progress.line).toBeLessThan(50_000);
    expect(saved.at(-1)).toEqual(progress);
    expect(sent.reduce((sum, { impressions }) => sum + impressions.length, 0)).toBeGreaterThanOrEqual(
      progress.line,
    );
  });
});

const emptyQueue = {
  stats: async () => ({
    pending: 0,
    inFlight: 0,
    oldestPendingSeconds: 0,
    bytes: 0,
    limitBytes: 1,
    notDelivering: null,
  }),
};

function impressionsIn(messages: readonly string[]): number {
  return messages
    .map((body) => decodeMessage(Buffer.from(body)))
    .flatMap((message) => (message.kind === "message" ? message.submissions : []))
    .reduce((sum, { impressions }) => sum + impressions.length, 0);
}

describe("a queue in trouble", () => {
  const submissions = Array.from({ length: 20 }, (_, n): Submission => {
    const impression = { postId: "p", viewedAtMs: NOW_MS, surface: null, position: null, dwellMs: null };
    return { userId: `u${n}`, receivedAtUs: NOW_MS * 1_000, impressions: [impression] };
  });
  const { signal } = new AbortController();
  const commitTo = (publish: (body: string) => void, pendingMutationsMax = 10_000) =>
    createGroupCommit({
      publish: async ({ body }) => publish(body),
      newMessageId: () => "id",
      inFlightMax: 1,
      pendingMutationsMax,
      pendingBytesMax: 1024 * 1024,
      waitMsMax: 60_000,
      monotonicMs: () => performance.now(),
    });

  test("refused submissions are sent again, and accepted ones are not", async () => {
    const messages: string[] = [];
    const troubles = [new QueueUnavailableError("gone"), new QueueFullError("full")];
    const groupCommit = commitTo((body) => {
      const trouble = troubles.shift();
      if (trouble !== undefined) throw trouble;
      messages.push(body);
    });
    await createSubmissionSender({ clock, groupCommit, queue: emptyQueue }).send(submissions, signal);
    expect(impressionsIn(messages)).toBe(20);
  });

  test("a group commit that takes three at a time gets all of them in the end, once", async () => {
    const messages: string[] = [];
    const groupCommit = commitTo((body) => void messages.push(body), 3);
    await createSubmissionSender({ clock, groupCommit, queue: emptyQueue }).send(submissions, signal);
    expect(impressionsIn(messages)).toBe(20);
  });

  test("one that takes nothing is given up in the end", async () => {
    const groupCommit = commitTo(() => {
      throw new QueueUnavailableError("gone");
    });
    const sender = createSubmissionSender({ clock, groupCommit, queue: emptyQueue, stallMsMax: 1 });
    await expect(sender.send(submissions, signal)).rejects.toThrow(TransferStalledError);
  });

  test("a backlog is waited for, and given up where it does not shrink", async () => {
    const groupCommit = commitTo(() => undefined);
    let pending = 20;
    const shrinking = { stats: async () => ({ ...(await emptyQueue.stats()), pending: pending-- }) };
    await createSubmissionSender({ clock, groupCommit, queue: shrinking, backlogMessagesMax: 18 }).room(
      signal,
    );
    expect(pending).toBe(17);
    const stuck = { stats: async () => ({ ...(await emptyQueue.stats()), pending: 5_000 }) };
    const sender = createSubmissionSender({ clock, groupCommit, queue: stuck, stallMsMax: 1 });
    await expect(sender.room(signal)).rejects.toThrow("the workers are behind: 5000 messages wait");
  });

  test("any other error is not repeated", async () => {
    const groupCommit = commitTo(() => {
      throw new RangeError("a bug");
    });
    const sender = createSubmissionSender({ clock, groupCommit, queue: emptyQueue });
    await expect(sender.send(submissions, signal)).rejects.toThrow("a bug");
  });
});

describe("the rejects file", () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "impressions-rejects-"));
    path = join(folder, "rejects.ndjson");
  });
  afterEach(() => rm(folder, { recursive: true }));

  const rejectsOf = async () =>
    (await readFile(path, "utf8"))
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as unknown);

  test("holds each line with its number, its reason and itself", async () => {
    const rejects = await openRejectsFile(path, 0);
    const bad = lineOf({ typo: 1 });
    await importing([lineOf({}), bad, "x".repeat(70_000)], { rejects }).outcome;
    await rejects.close();
    expect(await rejectsOf()).toEqual([
      { line: 2, reason: "UNKNOWN_FIELD", detail: expect.stringContaining('"typo"'), text: bad },
      {
        line: 3,
        reason: "LINE_TOO_LONG",
        detail: expect.any(String),
        base64: Buffer.alloc(1_024, "x").toString("base64"),
        truncated: true,
      },
    ]);
  });

  const REJECT = `{"line":1,"reason":"UNKNOWN_FIELD","detail":"of an earlier import","text":"{}"}\n`;

  test("is not made where nothing is rejected, and one of an earlier import stays", async () => {
    const withoutRejects = async () => {
      const rejects = await openRejectsFile(path, 0);
      await importing([lineOf({})], { rejects }).outcome;
      await rejects.close();
    };
    await withoutRejects();
    await expect(readFile(path)).rejects.toThrow("ENOENT");
    await writeFile(path, REJECT);
    await withoutRejects();
    expect(await readFile(path, "utf8")).toBe(REJECT);
  });

  test.each([
    ["an earlier import's", REJECT],
    ["empty", ""],
  ])("replaces the file that is there with the first reject: %s", async (_, content) => {
    await writeFile(path, content);
    const rejects = await openRejectsFile(path, 0);
    await importing([lineOf({}), "bad"], { rejects }).outcome;
    await rejects.close();
    expect(await rejectsOf()).toEqual([expect.objectContaining({ line: 2, text: "bad" })]);
  });

  test.each([
    ["views", `${lineOf({})}\n`],
    ["somebody's text", "dear diary"],
    ["JSON that looks alike", '{"line":1,"column":7}\n'],
  ])("leaves every other file alone: %s", async (_, content) => {
    await writeFile(path, content);
    for (const resumeBytes of [0, 5]) {
      await expect(openRejectsFile(path, resumeBytes)).rejects.toThrow("is no rejects file");
    }
    await rm(path);
    const rejects = await openRejectsFile(path, 0);
    // Made meanwhile, by whomever.
    await writeFile(path, content);
    await expect(importing(["bad"], { rejects }).outcome).rejects.toThrow("is no rejects file");
    expect(await readFile(path, "utf8")).toBe(content);
  });

  test("only its owner can read it", async () => {
    const rejects = await openRejectsFile(path, 0);
    await importing(["bad"], { rejects }).outcome;
    await rejects.close();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test("a resumed import keeps what belongs to the part that is done and drops the rest", async () => {
    await writeFile(path, `${REJECT}${REJECT}${REJECT.slice(0, 20)}`);
    const rejects = await openRejectsFile(path, REJECT.length);
    await importing(["bad"], {
      rejects,
      start: { ...START, offset: 100, line: 6, rejectsBytes: REJECT.length },
    }).outcome;
    await rejects.close();
    expect(await rejectsOf()).toEqual([
      JSON.parse(REJECT),
      expect.objectContaining({ line: 7, text: "bad" }),
    ]);
  });
});
