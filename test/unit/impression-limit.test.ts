import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DAY_MS } from "../../src/domain/time.ts";
import { RateLimitedError } from "../../src/ingest/errors.ts";
import { openImpressionLimit, type Reservation, SENDERS_MAX } from "../../src/ingest/impression-limit.ts";

/** Unless given 600 a minute, one each 100 ms, and no limit for a day. */
function limitAt({ perMinute = 600, perDay = 0 } = {}) {
  const time = { ms: 1_000 };
  const limit = openImpressionLimit({ perMinute, perDay }, { monotonicMs: () => time.ms });
  if (limit === null) throw new Error("there is a limit");
  /** 0 where they pass, else how long to wait. */
  const waitMs = (sender: string, impressions: number) => {
    try {
      limit.reserve(sender, impressions).use();
      return 0;
    } catch (error) {
      return (error as RateLimitedError).waitMs;
    }
  };
  return { limit, time, waitMs };
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

  test("counts what was used, and nothing that was given back", () => {
    const { limit, waitMs } = limitAt();
    for (let list = 0; list < 10; list++) limit.reserve("maria", 500).cancel();
    expect([waitMs("maria", 600), waitMs("maria", 1)]).toEqual([0, 100]);
  });

  test("keeps reserved room while crowds of other senders come and go", () => {
    const { limit, waitMs } = limitAt();
    const room = limit.reserve("maria", 500);
    for (let sender = 0; sender < 25_000; sender++) limit.reserve(`sender-${sender}`, 1).cancel();
    expect(waitMs("maria", 101)).toBe(100);
    room.cancel();
    expect(waitMs("maria", 600)).toBe(0);
  });

  test("keeps the room of those that wait for the queue from all others", () => {
    const { limit, waitMs } = limitAt();
    const [first, second] = [limit.reserve("maria", 300), limit.reserve("maria", 300)];
    expect(waitMs("maria", 1)).toBe(100);
    first.cancel();
    second.use();
    expect([waitMs("maria", 301), waitMs("maria", 300), waitMs("maria", 1)]).toEqual([100, 0, 100]);
  });

  test("ends a reservation once, whatever is reported of it later", () => {
    const { limit, waitMs } = limitAt();
    const used = limit.reserve("maria", 300);
    used.use();
    used.use();
    used.cancel();
    expect([waitMs("maria", 301), waitMs("maria", 300)]).toEqual([100, 0]);
  });

  test("is a bucket that lets one through each 100 ms, in whatever order lists end", () => {
    const step = fc.record({
      afterMs: fc.nat(20_000),
      impressions: fc.integer({ min: 1, max: 600 }),
      ends: fc.nat(3),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { limit, time } = limitAt();
        const waiting: { readonly room: Reservation; readonly impressions: number }[] = [];
        let level = 0;
        for (const { afterMs, impressions, ends } of steps) {
          time.ms += afterMs;
          level = Math.max(0, level - afterMs / 100);
          const ended = waiting.splice(ends, 1)[0];
          if (ended !== undefined && ends % 2 === 0) {
            ended.room.use();
            level += ended.impressions;
          } else ended?.room.cancel();
          expect(level).toBeLessThanOrEqual(600 + 1e-6);
          const over = level + waiting.reduce((sum, one) => sum + one.impressions, 0) + impressions - 600;
          if (over > 1e-6) expect(() => limit.reserve("maria", impressions)).toThrow(RateLimitedError);
          else waiting.push({ room: limit.reserve("maria", impressions), impressions });
        }
      }),
    );
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
    waitMs("heard again", 100);
    waitMs("silent", 200);
    others(2, SENDERS_MAX / 2);
    waitMs("one that makes the others old", 1);
    waitMs("heard again", 100);
    others(0, SENDERS_MAX / 2 - 2);
    // A refusal is no hearing.
    expect([waitMs("silent", 500), waitMs("heard again", 500)]).toEqual([10_000, 10_000]);
    waitMs("one too many", 1);
    expect([waitMs("heard again", 500), waitMs("silent", 600)]).toEqual([10_000, 0]);
  });

  test("remembers users who have used more than half, however many others come after them", () => {
    const { waitMs } = limitAt();
    waitMs("heavy", 301);
    waitMs("light", 300);
    for (let sender = 0; sender < 3 * SENDERS_MAX; sender++) waitMs(`s${sender}`, 1);
    expect([waitMs("heavy", 300), waitMs("light", 600)]).toEqual([100, 0]);
  });

  test("remembers a bounded number of those, too", () => {
    const { waitMs } = limitAt();
    const names = Array.from({ length: 2 * SENDERS_MAX }, (_, sender) => `s${sender}`);
    for (const name of names) waitMs(name, 600);
    expect(waitMs(names.at(-1) ?? "", 600)).toBe(60_000);
    const remembered = names.filter((name) => waitMs(name, 600) > 0);
    expect(remembered.length).toBeLessThanOrEqual(SENDERS_MAX);
  });

  test("counts for a day, too, and tells the longer wait", () => {
    // A day's worth is one each minute.
    const { time, waitMs } = limitAt({ perDay: 1_440 });
    for (const list of [600, 600, 240]) {
      expect(waitMs("maria", list)).toBe(0);
      time.ms += 60_000;
    }
    // Three minutes have given room for three.
    expect([waitMs("maria", 4), waitMs("maria", 3), waitMs("maria", 1)]).toEqual([60_000, 0, 60_000]);
    expect(waitMs("maria", 600)).toBe(600 * 60_000);
    expect(waitMs("josef", 600)).toBe(0);
    time.ms += DAY_MS;
    expect([waitMs("maria", 600), waitMs("maria", 600)]).toEqual([0, 60_000]);
  });

  test("charges the day nothing for what the minute refuses, or for what was given back", () => {
    const { limit, time, waitMs } = limitAt({ perDay: 1_440 });
    expect(waitMs("maria", 600)).toBe(0);
    for (let attempt = 0; attempt < 10; attempt++) expect(waitMs("maria", 600)).toBe(60_000);
    time.ms += 60_000;
    for (let attempt = 0; attempt < 10; attempt++) limit.reserve("maria", 600).cancel();
    expect([waitMs("maria", 600), waitMs("maria", 1)]).toEqual([0, 100]);
  });

  test("counts for a day alone", () => {
    const { waitMs } = limitAt({ perMinute: 0, perDay: 1_440 });
    expect([waitMs("maria", 1_440), waitMs("maria", 1)]).toEqual([0, 60_000]);
  });

  test("forgets no user whose minute is not over", () => {
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
    expect(openImpressionLimit({ perMinute: 0, perDay: 0 }, clock)).toBeNull();
    const limit = openImpressionLimit({ perMinute: 500, perDay: 0 }, clock);
    limit?.reserve("maria", 500).use();
    expect(() => limit?.reserve("maria", 500)).toThrow(RateLimitedError);
  });
});
