import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clampWindow, clockShiftMs, MINUTE_MS, microsToMillis } from "../../src/domain/time.ts";

const NOW_MS = 1_790_000_000_000;

describe("clockShiftMs", () => {
  it.each([
    ["the sender did not say", null, 0],
    ["the clocks agree", NOW_MS, 0],
    ["the sender is 5 minutes behind", NOW_MS - 5 * MINUTE_MS, 0],
    ["the sender is 5 minutes ahead", NOW_MS + 5 * MINUTE_MS, 0],
    ["just over 5 minutes behind", NOW_MS - 5 * MINUTE_MS - 1, 5 * MINUTE_MS],
    ["just over 5 minutes ahead", NOW_MS + 5 * MINUTE_MS + 1, -5 * MINUTE_MS],
    ["5.5 minutes behind: up to the nearest minute", NOW_MS - 5.5 * MINUTE_MS, 6 * MINUTE_MS],
    ["an hour ahead", NOW_MS + 60 * MINUTE_MS, -60 * MINUTE_MS],
    ["1970", 0, Math.round(NOW_MS / MINUTE_MS) * MINUTE_MS],
  ])("%s", (_name, sentAtMs, shiftMs) => {
    expect(clockShiftMs(NOW_MS, sentAtMs)).toBe(shiftMs);
  });

  it("is a whole number of minutes that brings the clocks within half a minute", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 * NOW_MS }), (sentAtMs) => {
        const shiftMs = clockShiftMs(NOW_MS, sentAtMs);
        expect(shiftMs % MINUTE_MS === 0).toBe(true);
        if (shiftMs !== 0) expect(Math.abs(NOW_MS - (sentAtMs + shiftMs))).toBeLessThanOrEqual(MINUTE_MS / 2);
      }),
    );
  });

  it("is the same for a resend a few seconds later, unless a half minute lies between", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: NOW_MS }),
        fc.integer({ min: 0, max: 5_000 }),
        (sentAtMs, laterMs) => {
          // Sent and received move together when the same sender sends again.
          expect(clockShiftMs(NOW_MS + laterMs, sentAtMs + laterMs)).toBe(clockShiftMs(NOW_MS, sentAtMs));
        },
      ),
    );
  });
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
