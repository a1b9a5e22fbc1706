import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flushAfterMs } from "../../src/domain/pressure.ts";

const share = fc.double({ min: 0, max: 1, noNaN: true });
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("flushAfterMs", () => {
  it("asks for no delay while less than half of every limit is in use", () => {
    expect(flushAfterMs([], 0.9)).toBe(0);
    expect(flushAfterMs([0, 0.49], 0.9)).toBe(0);
  });

  it("asks for half a minute to a minute when a limit is reached", () => {
    expect(flushAfterMs([1], 0)).toBe(30_000);
    expect(flushAfterMs([0, 1], 0.999_999)).toBe(60_000);
    expect(flushAfterMs([5], 0)).toBe(30_000);
  });

  it("asks for a delay, however short, as soon as half of one limit is in use", () => {
    expect(flushAfterMs([0.5], 0)).toBeGreaterThan(0);
  });

  it("goes by the limit that is used most, and never falls as it fills", () => {
    fc.assert(
      fc.property(share, share, random, (a, b, luck) => {
        expect(flushAfterMs([a, b], luck)).toBe(flushAfterMs([Math.max(a, b)], luck));
        if (a <= b) expect(flushAfterMs([a], luck)).toBeLessThanOrEqual(flushAfterMs([b], luck));
      }),
    );
  });

  it("is a whole number between 0 and a minute", () => {
    fc.assert(
      fc.property(share, random, (used, luck) => {
        const delayMs = flushAfterMs([used], luck);
        expect(Number.isInteger(delayMs)).toBe(true);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(60_000);
      }),
    );
  });
});
