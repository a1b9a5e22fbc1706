import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DateTime, parseInstant } from "../../src/resolvers/scalars/date-time.ts";

const anyInstant = fc.date({
  min: new Date("0000-01-01T00:00:00.000Z"),
  max: new Date("9999-12-31T23:59:59.999Z"),
  noInvalidDate: true,
});

describe("what is an instant", () => {
  test.each([
    ["2026-11-22T10:15:30.123Z", Date.UTC(2026, 10, 22, 10, 15, 30, 123)],
    ["2026-11-22T10:15:30Z", Date.UTC(2026, 10, 22, 10, 15, 30)],
    ["2026-11-22t10:15:30z", Date.UTC(2026, 10, 22, 10, 15, 30)],
    ["2026-11-22T10:15:30.1Z", Date.UTC(2026, 10, 22, 10, 15, 30, 100)],
    ["2026-11-22T10:15:30.123999999Z", Date.UTC(2026, 10, 22, 10, 15, 30, 123)],
    ["2026-11-22T10:15:30+05:30", Date.UTC(2026, 10, 22, 4, 45, 30)],
    ["2026-11-22T10:15:30.5-23:59", Date.UTC(2026, 10, 23, 10, 14, 30, 500)],
    ["2026-11-22T10:15:30-00:00", Date.UTC(2026, 10, 22, 10, 15, 30)],
    ["2024-02-29T00:00:00Z", Date.UTC(2024, 1, 29)],
    ["2000-02-29T00:00:00Z", Date.UTC(2000, 1, 29)],
    ["0000-01-01T00:00:00Z", Date.parse("0000-01-01T00:00:00Z")],
    ["9999-12-31T23:59:59.999Z", Date.parse("9999-12-31T23:59:59.999Z")],
    ["1969-12-31T23:59:59.999Z", -1],
  ])("%s", (text, instantMs) => {
    expect(parseInstant(text)).toBe(instantMs);
  });

  test.each([
    "",
    "2026-11-22",
    "2026-11-22T10:15Z",
    "2026-11-22T10:15:30",
    "2026-11-22 10:15:30Z",
    "2026-11-22T10:15:30.Z",
    "2026-11-22T10:15:30,5Z",
    "2026-11-22T10:15:30.1234567890Z",
    "2026-11-22T10:15:30+0530",
    "2026-11-22T10:15:30+05",
    "2026-11-22T10:15:30+24:00",
    "2026-11-22T10:15:30+05:60",
    "2026-11-22T10:15:30Z ",
    " 2026-11-22T10:15:30Z",
    "2026-11-22T10:15:30ZZ",
    "2026-11-22T24:00:00Z",
    "2026-11-22T10:60:30Z",
    "2026-11-22T10:15:60Z",
    "2026-00-22T10:15:30Z",
    "2026-13-22T10:15:30Z",
    "2026-11-00T10:15:30Z",
    "2026-11-31T10:15:30Z",
    "2026-02-29T10:15:30Z",
    "2100-02-29T10:15:30Z",
    "+002026-11-22T10:15:30Z",
    "-026-11-22T10:15:30Z",
    "2026-1a-22T10:15:30Z",
    "２026-11-22T10:15:30Z",
    "0000-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
  ])("not %j", (text) => {
    expect(parseInstant(text)).toBeNull();
  });

  test("every instant of four-digit years comes back as it went", () => {
    fc.assert(
      fc.property(anyInstant, (date) => {
        const text = DateTime.serialize(date.getTime());
        expect(text).toBe(date.toISOString());
        expect(parseInstant(text)).toBe(date.getTime());
      }),
    );
  });

  test("an offset moves the instant by just that", () => {
    const offset = fc.tuple(
      fc.constantFrom("+", "-"),
      fc.integer({ min: 0, max: 23 }),
      fc.integer({ min: 0, max: 59 }),
    );
    const middle = fc.date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true });
    fc.assert(
      fc.property(middle, offset, (date, [sign, hours, minutes]) => {
        const suffix = `${sign}${String(hours).padStart(2, "0")}:${String(minutes).padStart(2, "0")}`;
        const text = date.toISOString().replace("Z", suffix);
        expect(parseInstant(text)).toBe(Date.parse(text));
      }),
    );
  });

  test("no other text of its alphabet gets a different answer from the platform's parser", () => {
    const character = fc.constantFrom(..."0123456789-+:.TZ");
    fc.assert(
      fc.property(fc.string({ unit: character, minLength: 18, maxLength: 30 }), (text) => {
        const instantMs = parseInstant(text);
        if (instantMs !== null) expect(instantMs).toBe(Date.parse(text));
      }),
    );
  });
});

describe("the scalar", () => {
  test.each([5, true, null, { at: "2026-11-22T10:15:30Z" }, "yesterday"])(
    "refuses %j with a sentence",
    (value) => {
      expect(() => DateTime.parseValue(value)).toThrow(
        /^DateTime must be an RFC 3339 instant with an offset, such as "2026-11-22T10:15:30.123Z", not .+\.$/,
      );
    },
  );

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 253_402_300_800_000, "2026"])(
    "does not print %j",
    (value) => {
      expect(() => DateTime.serialize(value)).toThrow(TypeError);
    },
  );
});
