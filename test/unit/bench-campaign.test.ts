import { describe, expect, test } from "vitest";
import { campaignOf, type Plan, recoverySeconds } from "../../bench/campaign/figures.ts";

const plan: Plan = { settleSeconds: 1, burstFrom: 4, burstTo: 6, end: 10 };

/** A campaign of ten answers a second, each second as slow as told. */
function campaign(...ms: readonly number[]) {
  const seconds = ms.map((latencyMs) => ({ latenciesMs: Array(10).fill(latencyMs), failed: 0 }));
  return campaignOf(seconds, plan);
}

describe("a campaign", () => {
  test("is told by its steady seconds, its burst and what comes after", () => {
    const { steadyP99Ms, burstP99Ms, afterP99Ms, failed } = campaign(90, 2, 2, 2, 9, 9, 7, 3, 3, 3);
    expect({ steadyP99Ms, burstP99Ms, afterP99Ms, failed }).toEqual({
      steadyP99Ms: 2,
      burstP99Ms: 9,
      afterP99Ms: 7,
      failed: 0,
    });
  });

  test("has recovered after the last second that is over twice the steady p99", () => {
    const slow = campaign(2, 2, 2, 2, 9, 9, 9, 4, 5, 3);
    expect(recoverySeconds([slow], plan)).toBe(3);
    expect(recoverySeconds([campaign(2, 2, 2, 2, 9, 9, 4, 4, 4, 4)], plan)).toBe(0);
  });

  test("is not judged by a spike of a single round", () => {
    const quiet = campaign(2, 2, 2, 2, 9, 9, 2, 2, 2, 2);
    const spiked = campaign(2, 2, 2, 2, 9, 9, 2, 2, 2, 60);
    expect(recoverySeconds([quiet, spiked, quiet], plan)).toBe(0);
    expect(recoverySeconds([spiked, spiked, quiet], plan)).toBe(4);
  });
});
