import { describe, expect, test } from "vitest";
import { RateLimitedError } from "../../src/ingest/errors.ts";
import { openImpressionLimit, SENDERS_MAX } from "../../src/ingest/impression-limit.ts";

/** 600 a minute: one each 100 ms. */
function limitAt() {
  const time = { ms: 1_000 };
  const limit = openImpressionLimit(600, { monotonicMs: () => time.ms });
  /** 0 where they pass, else how long to wait. */
  const waitMs = (sender: string, impressions: number) => {
    try {
      limit?.take(sender, impressions);
      return 0;
    } catch (error) {
      return (error as RateLimitedError).waitMs;
    }
  };
  return { time, waitMs };
}

describe("the limit of impressions", () => {
  test("lets a minute's worth pass at once, then as many as the time that went by allows", () => {
    const { time, waitMs } = limitAt();
    expect([waitMs("maria", 500), waitMs("maria", 100), waitMs("maria", 1)]).toEqual([0, 0, 100]);
    time.ms += 5_000;
    expect([waitMs("maria", 51), waitMs("maria", 50), waitMs("maria", 1)]).toEqual([100, 0, 100]);
    time.ms += 60_000;
    expect([waitMs("maria", 500), waitMs("maria", 100), waitMs("maria", 10)]).toEqual([0, 0, 1_000]);
  });

  test("lets a refused list pass after the wait that it names, however often it was tried", () => {
    const { time, waitMs } = limitAt();
    waitMs("maria", 600);
    expect([waitMs("maria", 500), waitMs("maria", 500), waitMs("maria", 500)]).toEqual([
      50_000, 50_000, 50_000,
    ]);
    time.ms += 49_999;
    expect(waitMs("maria", 500)).toBe(1);
    time.ms += 1;
    expect(waitMs("maria", 500)).toBe(0);
  });

  test("lets exactly a minute's worth pass whenever it comes, and no impression more", () => {
    for (let at = 0; at < 200; at++) {
      const { time, waitMs } = limitAt();
      time.ms = 100_000 + at * 12.3457;
      expect([waitMs("maria", 600), waitMs("maria", 1)], `at ${time.ms} ms`).toEqual([0, 100]);
    }
  });

  test("counts each sender alone", () => {
    const { waitMs } = limitAt();
    expect([waitMs("maria", 600), waitMs("josef", 600), waitMs("maria", 1)]).toEqual([0, 0, 100]);
  });

  test("remembers a bounded number of senders, and forgets those that were not heard of late", () => {
    const { waitMs } = limitAt();
    const others = (from: number, to: number) => {
      for (let sender = from; sender < to; sender++) waitMs(`s${sender}`, 1);
    };
    waitMs("heard again", 300);
    waitMs("silent", 600);
    others(2, SENDERS_MAX / 2);
    waitMs("one that makes the others old", 1);
    waitMs("heard again", 300);
    others(0, SENDERS_MAX / 2 - 2);
    // A refusal is no hearing.
    expect([waitMs("silent", 1), waitMs("heard again", 1)]).toEqual([100, 100]);
    waitMs("one too many", 1);
    expect([waitMs("heard again", 1), waitMs("silent", 600)]).toEqual([100, 0]);
  });

  test("forgets nobody whose minute is not over", () => {
    const { time, waitMs } = limitAt();
    time.ms += 59_000;
    waitMs("maria", 600);
    time.ms += 1_000;
    waitMs("josef", 600);
    time.ms += 58_000;
    expect([waitMs("maria", 600), waitMs("josef", 600)]).toEqual([1_000, 2_000]);
    time.ms += 2_000;
    expect([waitMs("maria", 600), waitMs("josef", 600)]).toEqual([0, 0]);
  });

  test("is none for 0, and says what it refuses", () => {
    const clock = { monotonicMs: () => 0 };
    expect(openImpressionLimit(0, clock)).toBeNull();
    const limit = openImpressionLimit(500, clock);
    limit?.take("maria", 500);
    expect(() => limit?.take("maria", 500)).toThrow(RateLimitedError);
  });
});
