import { describe, expect, test } from "vitest";
import { type ClockReading, clockFinding, printableBytes, spaceFinding } from "../../src/domain/finding.ts";

describe("the clocks of hosts", () => {
  /** Asked at 1,000,000 and answered 200 ms later. */
  const reading = (theirsMs: number, who = "db-1"): ClockReading => ({
    who,
    beforeMs: 1_000_000,
    theirsMs,
    afterMs: 1_000_200,
  });

  test.each<[string, number, string]>([
    ["read while it was asked", 1_000_100, "ok"],
    ["a little behind", 999_500, "ok"],
    ["a little ahead", 1_000_700, "ok"],
    ["more behind than NTP leaves it", 999_499, "warning"],
    ["more ahead than NTP leaves it", 1_000_701, "warning"],
    ["behind as far as is allowed", 995_000, "warning"],
    ["too far behind", 994_999, "failed"],
    ["ahead as far as is allowed", 1_005_200, "warning"],
    ["too far ahead", 1_005_201, "failed"],
  ])("%s", (_name, theirsMs, result) => {
    expect(clockFinding("clock", [reading(theirsMs)]).result).toBe(result);
  });

  test("the one that is furthest off is named, and which way", () => {
    const readings = [reading(1_000_100), reading(992_000, "db-2"), reading(1_003_000, "db-3")];
    expect(clockFinding("clock", readings)).toMatchObject({
      result: "failed",
      detail: expect.stringMatching(/^the clock of db-2 is 8\.0 s behind this host's: run NTP/),
    });
    expect(clockFinding("clock", [reading(1_007_200)]).detail).toContain("7.0 s ahead of this");
  });
});

test.each<[number, string]>([
  [0, "ok"],
  [499, "ok"],
  [500, "warning"],
  [949, "warning"],
  [950, "failed"],
  [1_000, "failed"],
])("%i of 1000 bytes used: %s", (usedBytes, result) => {
  expect(spaceFinding("space", usedBytes, 1_000, "make room").result).toBe(result);
});

test("sizes are printed in the largest unit that they fill", () => {
  expect([0, 1023, 1024, 3 * 1024 ** 2, 1536 * 1024 ** 2, 5000 * 1024 ** 4].map(printableBytes)).toEqual([
    "0 bytes",
    "1023 bytes",
    "1.0 KiB",
    "3.0 MiB",
    "1.5 GiB",
    "5000.0 TiB",
  ]);
});

test("a finding says how much is used, and what to do where it is too much", () => {
  expect(spaceFinding("space", 100, 1_000, "make room")).toEqual({
    result: "ok",
    check: "space",
    detail: "100 bytes of 1000 bytes used",
  });
  expect(spaceFinding("space", 500, 1_000, "make room").detail).toBe(
    "500 bytes of 1000 bytes used: make room",
  );
  expect(spaceFinding("space", 1_000, 1_000, "make room").detail).toBe(
    "1000 bytes of 1000 bytes used: make room",
  );
});

test("a finding about clocks says what is allowed", () => {
  const reading = { who: "db-1", beforeMs: 0, theirsMs: 60_000, afterMs: 0 };
  expect(clockFinding("clock", [reading]).detail).toBe(
    "the clock of db-1 is 60.0 s ahead of this host's: run NTP on every host, at most 5 s between any two are allowed",
  );
  expect(clockFinding("clock", [{ ...reading, theirsMs: 0 }]).detail).toBe("within 500 ms of this host's");
  expect(clockFinding("clock", []).result).toBe("ok");
});
