import { DAY_MS } from "./time.ts";

/**
 * The one parser of instants, for whatever comes from outside: GraphQL, lines of an import, flags of commands, answers
 * of servers. A lint rule keeps `Date.parse` out of the rest: that moves a day that does not exist into the next month.
 */

/** 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: what four digits of a year can say. */
const EARLIEST_MS = -62_167_219_200_000;
const LATEST_MS = 253_402_300_799_999;
const FRACTION_DIGITS_MAX = 9;
const DIGIT_ZERO = 48;
const DAYS_OF_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;
/** `2026-11-22T10:15:30.123456789+05:30` */
const CHARACTERS_MAX = 35;
/** How an instant is written; whether it exists is another question. */
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/i;
/** The two ways of writing it wrongly that programming languages have as their default. */
const WITHOUT_OFFSET = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?$/i;
const WITHOUT_T = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/;

/**
 * An RFC 3339 instant as epoch milliseconds, or null where the text is not one: `Z` or a numeric offset, 0 to 9
 * fraction digits (cut to milliseconds), and only dates and times that exist. A leap second does not: epoch time
 * has no number for it.
 *
 * Reads digits instead of building and validating Date objects: a mutation carries up to 501 instants, and the usual
 * scalar's 6 us for each of them was half of the CPU of a request of ten.
 */
export function parseInstant(text: string): number | null {
  // 2026-11-22T10:15:30Z
  // 0123456789012345678
  if (text.length < 20 || text.length > CHARACTERS_MAX) return null;
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 2);
  const day = digits(text, 8, 2);
  const hour = digits(text, 11, 2);
  const minute = digits(text, 14, 2);
  const second = digits(text, 17, 2);
  const separator = text[10];
  const punctuated =
    text[4] === "-" &&
    text[7] === "-" &&
    (separator === "T" || separator === "t") &&
    text[13] === ":" &&
    text[16] === ":";
  if (!punctuated || year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return null;

  let index = 19;
  let millisecond = 0;
  if (text[index] === ".") {
    const fraction = digitsUpTo(text, ++index, FRACTION_DIGITS_MAX);
    if (fraction === 0) return null;
    for (let place = 0; place < 3; place++) {
      millisecond = millisecond * 10 + (place < fraction ? text.charCodeAt(index + place) - DIGIT_ZERO : 0);
    }
    index += fraction;
  }
  const offsetMinutes = parseOffset(text, index);
  if (offsetMinutes === null) return null;
  const timeMs = ((hour * 60 + minute - offsetMinutes) * 60 + second) * 1_000 + millisecond;
  const instantMs = daysSinceEpoch(year, month, day) * DAY_MS + timeMs;
  return isWritable(instantMs) ? instantMs : null;
}

/**
 * The same instant in epoch microseconds; further digits are cut. Null also after the year 2255, where a number no
 * longer holds each microsecond.
 */
export function parseInstantMicros(text: string): number | null {
  const instantMs = parseInstant(text);
  if (instantMs === null) return null;
  const [, fraction = ""] = /\.(\d+)/.exec(text) ?? [];
  const micros = Number(fraction.padEnd(6, "0").slice(3, 6));
  const instantUs = instantMs * 1_000 + micros;
  return Number.isSafeInteger(instantUs) ? instantUs : null;
}

/** Why `parseInstant` refuses a text, as the end of a sentence. */
export function whyNoInstant(text: string): string {
  if (RFC_3339.test(text)) return "there is no such day, time or offset in the years 0000 to 9999";
  if (WITHOUT_OFFSET.test(text)) return "it ends without an offset, and Z at the end would say UTC";
  if (WITHOUT_T.test(text)) return "a T belongs between the day and the time";
  return "it is not written like that";
}

/** `2026-11-22T10:15:30.123Z`. @throws RangeError it cannot be written with four digits of a year. */
export function formatInstant(epochMs: number): string {
  if (!isWritable(epochMs))
    throw new RangeError("an instant is epoch milliseconds of the years 0000 to 9999");
  return new Date(epochMs).toISOString();
}

/** `2026-11-22T10:15:30.123456Z`. @throws RangeError as above. */
export function formatInstantMicros(epochUs: number): string {
  const epochMs = Math.floor(epochUs / 1_000);
  const micros = String(epochUs - epochMs * 1_000).padStart(3, "0");
  return `${formatInstant(epochMs).slice(0, -1)}${micros}Z`;
}

function isWritable(epochMs: number): boolean {
  return epochMs >= EARLIEST_MS && epochMs <= LATEST_MS;
}

/** Minutes east of UTC; null where the text does not end, right here, with Z or an offset. */
function parseOffset(text: string, index: number): number | null {
  const sign = text[index];
  if (sign === "Z" || sign === "z") return text.length === index + 1 ? 0 : null;
  if (sign !== "+" && sign !== "-") return null;
  if (text.length !== index + 6 || text[index + 3] !== ":") return null;
  const hours = digits(text, index + 1, 2);
  const minutes = digits(text, index + 4, 2);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return null;
  const total = hours * 60 + minutes;
  return sign === "+" ? total : -total;
}

/** The number that `count` digits make, or a negative one where one of them is no digit. */
function digits(text: string, start: number, count: number): number {
  let value = 0;
  for (let index = start; index < start + count; index++) {
    const digit = text.charCodeAt(index) - DIGIT_ZERO;
    if (!(digit >= 0 && digit <= 9)) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** How many digits stand at `start`; 0 where there are none or more than `max`. */
function digitsUpTo(text: string, start: number, max: number): number {
  let count = 0;
  while (digits(text, start + count, 1) >= 0) count++;
  return count <= max ? count : 0;
}

function daysIn(year: number, month: number): number {
  if (month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)) return 29;
  return DAYS_OF_MONTH[month - 1] ?? 0;
}

/**
 * Days from 1970-01-01 to a date of the Gregorian calendar; "days_from_civil" in
 * https://howardhinnant.github.io/date_algorithms.html
 */
function daysSinceEpoch(year: number, month: number, day: number): number {
  // Years begin in March, so that the leap day is the last of its year.
  const shiftedYear = month <= 2 ? year - 1 : year;
  const era = Math.floor(shiftedYear / 400);
  const yearOfEra = shiftedYear - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}
