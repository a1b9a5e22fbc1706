import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatInstant,
  formatInstantMicros,
  parseInstant,
  parseInstantMicros,
  whyNoInstant,
} from "../../src/domain/instant.ts";

const anyInstant = fc.date({
  min: new Date("0000-01-01T00:00:00.000Z"),
  max: new Date("9999-12-31T23:59:59.999Z"),
  noInvalidDate: true,
});

describe("an instant", () => {
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
        const text = formatInstant(date.getTime());
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

  const number = (min: number, max: number, digits = 2) =>
    fc.integer({ min, max }).map((value) => String(value).padStart(digits, "0"));

  test("a date and a time are taken exactly where the calendar and the clock have them", () => {
    const parts = fc.tuple(number(0, 9_999, 4), number(0, 14), number(0, 33), number(0, 26), number(0, 62));
    const rest = fc.tuple(number(0, 62), fc.option(number(0, 999_999_999, 9)), number(0, 26), number(0, 62));
    fc.assert(
      fc.property(parts, rest, ([year, month, day, hour, minute], [second, nanos, hours, minutes]) => {
        const text = `${year}-${month}-${day}T${hour}:${minute}:${second}${nanos === null ? "" : `.${nanos}`}`;
        // The platform's own calendar, asked for the fields: it moves what does not exist, and then they differ.
        const date = new Date(0);
        date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
        date.setUTCHours(Number(hour), Number(minute), Number(second));
        const isReal =
          Number(hour) < 24 &&
          date.toISOString() === `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
        const millis = Number((nanos ?? "").slice(0, 3));
        expect(parseInstant(`${text}Z`)).toBe(isReal ? date.getTime() + millis : null);
        const isOffset = Number(hours) < 24 && Number(minutes) < 60;
        const withOffset = parseInstant(`${text}+${hours}:${minutes}`);
        if (!isReal || !isOffset) expect(withOffset).toBeNull();
        else if (year !== "0000")
          expect(withOffset).toBe(date.getTime() + millis - (Number(hours) * 60 + Number(minutes)) * 60_000);
        if (!isReal) expect(whyNoInstant(`${text}Z`)).toMatch(/^there is no such day, time or offset/);
      }),
      { numRuns: 3_000 },
    );
  });

  test("microseconds come back as they went, wherever a number holds each of them", () => {
    const micros = fc.integer({ min: -8_000_000_000_000_000, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(micros, (epochUs) => {
        expect(parseInstantMicros(formatInstantMicros(epochUs))).toBe(epochUs);
      }),
    );
    expect(formatInstantMicros(1_795_342_531_123_007)).toBe("2026-11-22T10:15:31.123007Z");
  });

  test.each([
    ["2026-11-22T10:15:30.123456789Z", 1_795_342_530_123_456],
    ["2026-11-22T10:15:30.1234Z", 1_795_342_530_123_400],
    ["2026-11-22T10:15:30.1+00:00", 1_795_342_530_100_000],
    ["2026-11-22T10:15:30+00:00", 1_795_342_530_000_000],
    ["2026-02-30T10:15:30.123456Z", null],
    // Beyond what a number holds exactly.
    ["2255-06-06T00:00:00Z", null],
    ["soon", null],
  ])("in microseconds, %s", (text, instantUs) => {
    expect(parseInstantMicros(text)).toBe(instantUs);
  });

  test.each([
    ["2026-02-31T10:15:30Z", "there is no such day, time or offset in the years 0000 to 9999"],
    // What Python's isoformat() and str() write, and SQL.
    ["2026-11-22T10:15:30.123456", "it ends without an offset, and Z at the end would say UTC"],
    ["2026-11-22 10:15:30", "it ends without an offset, and Z at the end would say UTC"],
    ["2026-11-22 10:15:30.123456+00:00", "a T belongs between the day and the time"],
    ["2026-02-31", "it is not written like that"],
    ["2026-11-22T10:15:30Zulu", "it is not written like that"],
  ])("why %s is none", (text, why) => {
    expect(parseInstant(text)).toBeNull();
    expect(whyNoInstant(text)).toBe(why);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 253_402_300_800_000])(
    "%j cannot be written",
    (epochMs) => {
      expect(() => formatInstant(epochMs)).toThrow(RangeError);
    },
  );
});

/** RFC 3339, by a pattern and the platform's own calendar. */
function referenceOf(text: string): number | null {
  const match =
    /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour, minute, second, fraction = "", sign, hours = "0", minutes = "0"] = match;
  if (Number(hour) > 23 || Number(hours) > 23 || Number(minutes) > 59) return null;
  const plain = `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.padEnd(3, "0").slice(0, 3)}Z`;
  const plainMs = Date.parse(plain);
  if (Number.isNaN(plainMs) || new Date(plainMs).toISOString() !== plain) return null;
  const offsetMs = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === "-" ? -1 : 1);
  const instantMs = plainMs - offsetMs;
  return instantMs >= Date.parse("0000-01-01T00:00:00Z") &&
    instantMs <= Date.parse("9999-12-31T23:59:59.999Z")
    ? instantMs
    : null;
}

describe("any text near an instant", () => {
  const WHOLE = [
    "2026-11-22T10:15:30Z",
    "2026-11-22T10:15:30.123456789+05:30",
    "2024-02-29T23:59:59.9-23:59",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999Z",
  ];
  const CHARACTERS = "0123456789-+:.TtZz ,/;x";

  test.each(WHOLE)(
    "is read as RFC 3339 says: %s with one character changed, taken out or put in",
    (whole) => {
      for (let at = 0; at <= whole.length; at++) {
        const texts = [whole.slice(0, at) + whole.slice(at + 1), whole.slice(0, at), whole.slice(at)];
        for (const character of CHARACTERS) {
          texts.push(whole.slice(0, at) + character + whole.slice(at + 1));
          texts.push(whole.slice(0, at) + character + whole.slice(at));
        }
        for (const text of texts) expect(parseInstant(text), text).toBe(referenceOf(text));
      }
    },
  );

  test("is read as RFC 3339 says, whatever numbers stand in it", () => {
    const digits = (count: number) =>
      fc.string({ unit: fc.constantFrom(..."0123456789"), minLength: count, maxLength: count });
    const offset = fc.oneof(
      fc.constantFrom("Z", "z"),
      fc.tuple(fc.constantFrom("+", "-"), digits(2), digits(2)).map(([sign, h, m]) => `${sign}${h}:${m}`),
    );
    fc.assert(
      fc.property(
        digits(4),
        digits(2),
        digits(2),
        digits(2),
        digits(2),
        digits(2),
        offset,
        (y, mo, d, h, mi, s, zone) => {
          const text = `${y}-${mo}-${d}T${h}:${mi}:${s}${zone}`;
          expect(parseInstant(text), text).toBe(referenceOf(text));
        },
      ),
      { numRuns: 5_000 },
    );
  });

  test("is explained by what is wrong with it", () => {
    expect(whyNoInstant("2026-02-30T10:15:30+05:30")).toMatch(/no such day/);
    for (const text of [
      "x2026-02-30T10:15:30Z",
      "2026-02-30T10:15:30Zx",
      "2026-02-30T10:15:30 05:30",
      "2026-02-30T10:15:30+x5:30",
      "2026-02-30T10:15:30+0x:30",
      "2026-02-30T10:15:30+05:x0",
      "2026-02-30T10:15:30+05:3x",
    ])
      expect(whyNoInstant(text), text).not.toMatch(/no such day/);
    expect(() => formatInstant(Number.POSITIVE_INFINITY)).toThrow("0000 to 9999");
  });

  test("has no microseconds where it has no fraction", () => {
    expect(parseInstantMicros("2026-11-22T10:15:30Z")).toBe(Date.UTC(2026, 10, 22, 10, 15, 30) * 1_000);
  });
});
