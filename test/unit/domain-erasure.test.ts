import { describe, expect, it } from "vitest";
import { carriedOutThroughUs, erasedThroughUs, erasureReach, isWithin } from "../../src/domain/erasure.ts";
import { HOST_CLOCK_SKEW_US_MAX as SKEW_US } from "../../src/domain/limits.ts";

const NOW_MS = 1_790_000_000_000;
const NOW_US = NOW_MS * 1_000;

describe("how far an erasure goes", () => {
  it("is the request and what the clocks of hosts may differ by", () => {
    expect(erasedThroughUs({ requestedAtUs: NOW_US })).toBe(NOW_US + SKEW_US);
    expect(carriedOutThroughUs({ requestedAtUs: NOW_US }, NOW_MS)).toBe(NOW_US + SKEW_US);
    expect(carriedOutThroughUs({ requestedAtUs: NOW_US - 5 }, NOW_MS)).toBe(NOW_US - 5 + SKEW_US);
  });

  it("is no further ahead of now than two hosts may differ, whatever dated the request", () => {
    expect(carriedOutThroughUs({ requestedAtUs: NOW_US + SKEW_US }, NOW_MS)).toBe(NOW_US + 2 * SKEW_US);
    expect(carriedOutThroughUs({ requestedAtUs: NOW_US + SKEW_US + 1 }, NOW_MS)).toBe(NOW_US + 2 * SKEW_US);
    expect(carriedOutThroughUs({ requestedAtUs: 2 * NOW_US }, NOW_MS)).toBe(NOW_US + 2 * SKEW_US);
  });

  it("takes what was received by then, and what no clock that goes right can have dated", () => {
    const reach = erasureReach(NOW_US, NOW_MS);
    expect(reach).toEqual({ throughUs: NOW_US, aheadOfUs: NOW_US + SKEW_US });
    const taken = [NOW_US - 1, NOW_US, NOW_US + 1, NOW_US + SKEW_US, NOW_US + SKEW_US + 1].map(
      (receivedAtUs) => isWithin(reach, receivedAtUs),
    );
    expect(taken).toEqual([true, true, false, false, true]);
  });

  it("leaves no gap where it ends ahead of now", () => {
    expect(erasureReach(NOW_US + 2 * SKEW_US, NOW_MS)).toEqual({
      throughUs: NOW_US + 2 * SKEW_US,
      aheadOfUs: NOW_US + 2 * SKEW_US,
    });
  });
});
