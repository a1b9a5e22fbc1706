import { describe, expect, test } from "vitest";
import { drawCharts } from "../../bench/support/chart.ts";
import { type Goal, goalLines, verdictOn } from "../../bench/support/goals.ts";
import { tableLines } from "../../bench/support/report.ts";
import { median, percentile } from "../../bench/support/statistics.ts";

describe("a goal", () => {
  const goal = (bound: Goal["bound"], figure: number | null): Goal => ({
    what: "w",
    unit: "x",
    bound,
    figure,
  });

  test("is met at its bound and on its good side", () => {
    expect(verdictOn(goal({ atLeast: 2 }, 2))).toBe("met");
    expect(verdictOn(goal({ atLeast: 2 }, 1.99))).toBe("missed");
    expect(verdictOn(goal({ atMost: 2 }, 2))).toBe("met");
    expect(verdictOn(goal({ atMost: 2 }, 2.01))).toBe("missed");
  });

  test("without a figure is neither met nor missed; a figure that is none is missed", () => {
    expect(verdictOn(goal({ atLeast: 2 }, null))).toBe("not measured");
    expect(verdictOn(goal({ atLeast: 2 }, Number.NaN))).toBe("missed");
    expect(verdictOn(goal({ atMost: 2 }, Number.NaN))).toBe("missed");
  });

  test("is a line of what, bound, figure and verdict", () => {
    expect(
      goalLines([
        { what: "rate", unit: "x", bound: { atLeast: 2.5 }, figure: 3.0417 },
        { what: "p99 lag", unit: "ms", bound: { atMost: 500 }, figure: null, note: "no servers" },
      ]),
    ).toEqual(["rate     >= 2.5x    3.04x  met", "p99 lag  <= 500 ms  -      not measured (no servers)"]);
  });
});

test("a table has a column for every figure that some row has", () => {
  expect(
    tableLines({ title: "arms", rows: { ours: { "p50 ms": 1.234, rate: 12_345 }, theirs: { rate: 7 } } }),
  ).toEqual(["arms    p50 ms    rate", "ours      1.23  12,345", "theirs               7"]);
});

test("percentiles are values that were measured; a median of two lies between them", () => {
  expect(percentile([5, 1, 4, 2, 3], 0.5)).toBe(3);
  expect(percentile([5, 1, 4, 2, 3], 0.99)).toBe(5);
  expect(percentile([], 0.5)).toBe(0);
  expect(median([4, 1])).toBe(2.5);
});

test("a plot holds every bar with its figure, and names as text", () => {
  const svg = drawCharts(
    "a < b",
    [{ kind: "bars", title: "t", bars: [{ name: "x & y", value: 1_234.5 }] }],
    "foot",
  );
  expect(svg).toContain("<title>a &lt; b</title>");
  expect(svg).toContain(">x &amp; y</text>");
  expect(svg).toContain(">1,235</text>");
});
