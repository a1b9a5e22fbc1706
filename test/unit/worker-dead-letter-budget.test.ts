import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { DeadLetterReason } from "../../src/domain/dead-letter.ts";
import { DAY_MS } from "../../src/domain/time.ts";
import type { Delivery } from "../../src/ports/impression-queue.ts";
import type { Logger } from "../../src/telemetry/logger.ts";
import {
  createDeadLetterBudget,
  createDeadLetterLog,
  createStoredParts,
  DEAD_LETTERS_PER_USER_MAX,
} from "../../src/workers/dead-letter-writer.ts";
import type { PlannedDeadLetter } from "../../src/workers/dead-letters.ts";
import { letterOf } from "../contract/queue/dead-letters.ts";

const planned = (userId: string | null, reason: DeadLetterReason = "INVALID_POST_ID"): PlannedDeadLetter => ({
  delivery: { sequence: 1, body: Buffer.from(""), deliveries: 1, publishedAtMs: 0 },
  letter: letterOf({ userId, reason, detail: "postId must not be empty" }),
});

describe("a user's budget of dead letters", () => {
  function openBudget() {
    const time = { nowMs: 0 };
    const budget = createDeadLetterBudget(() => time.nowMs);
    /** Of so many bad impressions, the details of those that get a dead letter, which are stored. */
    function details(count: number, userId: string | null, reason?: DeadLetterReason): string[] {
      return Array.from({ length: count }).flatMap(() => {
        const letter = budget.admit(planned(userId, reason));
        if (letter === null) return [];
        budget.stored(letter);
        return [letter.letter.detail];
      });
    }
    return { budget, time, details };
  }

  test("is a thousand letters a day, then one for each doubling, which says how many it stands for", () => {
    const { time, details } = openBudget();
    expect(details(DEAD_LETTERS_PER_USER_MAX, "u")).toHaveLength(DEAD_LETTERS_PER_USER_MAX);
    const beyond = details(100_000, "u");
    expect(beyond.map((detail) => Number(/^one of (\d+) more/.exec(detail)?.[1]))).toEqual([
      1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000,
    ]);
    expect(beyond.every((detail) => detail.endsWith(": postId must not be empty"))).toBe(true);
    time.nowMs = DAY_MS - 1;
    expect(details(10, "u")).toEqual([]);
    time.nowMs = DAY_MS;
    expect(details(10, "u")).toHaveLength(10);
  });

  test("is each user's own, and one for all whose id cannot be one", () => {
    const { details } = openBudget();
    expect(details(2_000, "u")).toHaveLength(1_001);
    expect(details(5, "v")).toHaveLength(5);
    expect(details(3_000, null)).toHaveLength(1_002);
    expect(details(5, "__proto__")).toHaveLength(5);
  });

  test.each(["REJECTED_BY_STORE", "CRASHED_WORKER", "UNREADABLE_MESSAGE"] as const)(
    "takes no letter from what may be put back with success: %s",
    (reason) => {
      const { details } = openBudget();
      expect(details(3_000, "u", reason)).toHaveLength(3_000);
      expect(details(5, "u")).toHaveLength(5);
    },
  );

  test("leaves alone what an operator put back: its letter was deleted for that", () => {
    const { budget, details } = openBudget();
    details(2_000, "u");
    const replayed = { ...planned("u"), isReplay: true };
    expect(Array.from({ length: 10 }, () => budget.admit(replayed))).toEqual(Array(10).fill(replayed));
  });

  test("is used up by what is stored: while letters fail, nothing is only counted", () => {
    const { budget } = openBudget();
    for (let failed = 0; failed < 3 * DEAD_LETTERS_PER_USER_MAX; failed++)
      expect(budget.admit(planned("u"))).not.toBeNull();
  });

  test("remembers ten thousand users", () => {
    const { details } = openBudget();
    details(DEAD_LETTERS_PER_USER_MAX, "first");
    for (let user = 1; user < 10_000; user++) details(1, `u${user}`);
    expect(details(1, "first")).toEqual([]);
    details(1, "one more");
    expect(details(1, "first")).toHaveLength(1);
  });
});

describe("the log of dead letters", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function openLog() {
    const lines: object[] = [];
    const at = (level: string) => (fields: object, message: string) =>
      lines.push({ level, message, ...fields });
    const log = createDeadLetterLog({ warn: at("warn"), error: at("error") } as unknown as Logger);
    return { lines, log };
  }

  const counts = (deadLettered: number, sequence: number) => ({
    deadLettered,
    omitted: 1,
    nacked: 0,
    reasons: { INVALID_POST_ID: deadLettered },
    sequences: [sequence],
  });

  test("has the first line at once, then a sum every ten seconds, until there is nothing to say", () => {
    const { lines, log } = openLog();
    for (let pull = 1; pull <= 1_000; pull++) log.deadLettered(counts(2, pull));
    expect(lines).toMatchObject([{ deadLettered: 2, sequences: [1] }]);
    vi.advanceTimersByTime(10_000);
    expect(lines).toMatchObject([
      {},
      {
        level: "warn",
        deadLettered: 1_998,
        omitted: 999,
        reasons: { INVALID_POST_ID: 1_998 },
        sequences: Array.from({ length: 10 }, (_, index) => index + 2),
      },
    ]);
    vi.advanceTimersByTime(60_000);
    expect(lines).toHaveLength(2);
    log.deadLettered(counts(1, 7));
    expect(lines).toHaveLength(3);
  });

  test("says in one line every ten seconds that letters cannot be written, and the rest when it is closed", () => {
    const { lines, log } = openLog();
    const full = new Error("full");
    for (let pull = 1; pull <= 50; pull++) log.failed(full, 10, pull);
    expect(lines).toMatchObject([{ level: "error", letters: 10, sequence: 1, err: full }]);
    log.close();
    expect(lines).toMatchObject([{}, { letters: 490, sequence: 50 }]);
    vi.advanceTimersByTime(60_000);
    expect(lines).toHaveLength(2);
  });
});

describe("messages of which the good part is stored", () => {
  const message = (sequence: number, publishedAtMs = 1_000 + sequence): Delivery => ({
    sequence,
    body: Buffer.from(""),
    deliveries: 1,
    publishedAtMs,
  });

  test("are remembered, twenty thousand of them", () => {
    const parts = createStoredParts();
    for (let sequence = 1; sequence <= 20_001; sequence++) parts.remember(message(sequence));
    expect([1, 2, 20_001].map((sequence) => parts.has(message(sequence)))).toEqual([false, true, true]);
    parts.forget(message(2));
    expect(parts.has(message(2))).toBe(false);
  });

  test("are not those that have their places in a stream that was made anew", () => {
    const parts = createStoredParts();
    parts.remember(message(7, 1_000));
    expect(parts.has({ ...message(7, 1_000), deliveries: 9 })).toBe(true);
    expect(parts.has(message(7, 2_000))).toBe(false);
    parts.remember(message(7, 2_000));
    expect([parts.has(message(7, 2_000)), parts.has(message(7, 1_000))]).toEqual([true, false]);
  });
});
