import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clampWindow, clockShiftMs, DAY_MS, MINUTE_MS, microsToMillis } from "../../src/domain/time.ts";

const NOW_MS = 1_790_000_000_000;

describe("clockShiftMs", () => {
  it.each([
    ["the sender did not say", null, 0],
    ["the clocks agree", NOW_MS, 0],
    ["the sender is 5 minutes ahead", NOW_MS + 5 * MINUTE_MS, 0],
    ["just over 5 minutes ahead", NOW_MS + 5 * MINUTE_MS + 1, -5 * MINUTE_MS],
    ["5.6 minutes ahead: to the nearest minute", NOW_MS + 5.6 * MINUTE_MS, -6 * MINUTE_MS],
    ["an hour ahead", NOW_MS + 60 * MINUTE_MS, -60 * MINUTE_MS],
    ["behind, or under way for 6 minutes", NOW_MS - 6 * MINUTE_MS, 0],
    ["behind, or under way for 80 days", NOW_MS - 80 * DAY_MS, 0],
    ["the first instant that a clock can show", Date.parse("2025-01-01T00:00:00Z"), 0],
    ["1970", 0, Math.round(NOW_MS / MINUTE_MS) * MINUTE_MS],
  ])("%s", (_name, sentAtMs, shiftMs) => {
    expect(clockShiftMs(NOW_MS, sentAtMs)).toBe(shiftMs);
  });

  it("is a whole number of minutes that brings the clocks within half a minute", () => {
    fc.assert(
      fc.property(fc.integer({ min: NOW_MS, max: 2 * NOW_MS }), (sentAtMs) => {
        const shiftMs = clockShiftMs(NOW_MS, sentAtMs);
        expect(shiftMs % MINUTE_MS === 0).toBe(true);
        if (shiftMs !== 0) expect(Math.abs(NOW_MS - (sentAtMs + shiftMs))).toBeLessThanOrEqual(MINUTE_MS / 2);
      }),
    );
  });
});

it("clockShiftMs moves the same bytes alike for 20 s where the clock is whole hours ahead, as wrong time zones are", () => {
  const hours = fc.integer({ min: 1, max: 14 });
  const ms = (max: number) => fc.integer({ min: 0, max });
  fc.assert(
    fc.property(hours, ms(4_000), ms(20_000), (ahead, errorMs, laterMs) => {
      const sentAtMs = NOW_MS + ahead * 60 * MINUTE_MS + errorMs - 2_000;
      expect(clockShiftMs(NOW_MS + laterMs, sentAtMs)).toBe(clockShiftMs(NOW_MS, sentAtMs));
    }),
  );
});

describe("clampWindow", () => {
  const RETENTION_MS = 1_000;

  it.each([
    ["nothing asked", null, null, NOW_MS - 1_000, Number.MAX_SAFE_INTEGER],
    ["inside the retention", NOW_MS - 10, NOW_MS, NOW_MS - 10, NOW_MS],
    ["from before the retention", 0, NOW_MS, NOW_MS - 1_000, NOW_MS],
    ["wholly before the retention", 0, 5, NOW_MS - 1_000, 5],
    ["into the future", NOW_MS, NOW_MS + 99, NOW_MS, NOW_MS + 99],
  ])("%s", (_name, since, until, sinceMs, untilMs) => {
    expect(clampWindow({ sinceMs: since, untilMs: until }, NOW_MS, RETENTION_MS)).toEqual({
      sinceMs,
      untilMs,
    });
  });
});

describe("microsToMillis", () => {
  it.each([
    [0, 0],
    [999, 0],
    [1_000, 1],
    [1_790_000_000_000_999, 1_790_000_000_000],
  ])("of %d is %d", (micros, millis) => {
    expect(microsToMillis(micros)).toBe(millis);
  });
});
