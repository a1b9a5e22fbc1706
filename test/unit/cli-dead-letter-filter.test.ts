import fc from "fast-check";
import { expect, test } from "vitest";
import { instantOf } from "../../src/cli/dead-letter-filter.ts";

const NOW_MS = Date.parse("2026-11-22T10:15:30.123Z");

test.each([
  ["2026-11-22", "2026-11-22T00:00:00.000Z"],
  ["2028-02-29", "2028-02-29T00:00:00.000Z"],
  ["2026-11-22T10:15:30Z", "2026-11-22T10:15:30.000Z"],
  ["2026-11-22t10:15:30.123999+05:30", "2026-11-22T04:45:30.123Z"],
  ["90s", "2026-11-22T10:14:00.123Z"],
  ["30m", "2026-11-22T09:45:30.123Z"],
  ["2h", "2026-11-22T08:15:30.123Z"],
  ["7d", "2026-11-15T10:15:30.123Z"],
])("%s is an instant", (text, instant) => {
  expect(instantOf(text, NOW_MS)).toBe(instant);
});

/** `discard --until` deletes: a day that was moved into the next month would delete more than was asked. */
test.each([
  "2026-02-31",
  "2027-02-29",
  "2026-11-31T00:00:00Z",
  "2026-11-22T24:00:00Z",
  "2026-11-22T10:15:60Z",
  "2026-11-22T10:15:30+24:00",
  "2026-11-22T10:15:30",
  "2026-11-22 10:15:30Z",
  "2026-11",
  "yesterday",
  "",
  "2w",
  "-2h",
  // Before the year 0000.
  "999999d",
])("%j is refused", (text) => {
  expect(() => instantOf(text, NOW_MS)).toThrow(/^must be a time like 2026-11-22T10:15:30Z or 2026-11-22/);
});

test("a day is taken for itself or refused, whatever its numbers", () => {
  const part = (max: number) => fc.integer({ min: 0, max }).map((value) => String(value).padStart(2, "0"));
  fc.assert(
    fc.property(fc.integer({ min: 2020, max: 2030 }), part(14), part(33), (year, month, day) => {
      const text = `${year}-${month}-${day}`;
      try {
        expect(instantOf(text, NOW_MS)).toBe(`${text}T00:00:00.000Z`);
      } catch (error) {
        expect((error as { code?: string }).code).toBe("commander.invalidArgument");
      }
    }),
  );
});
