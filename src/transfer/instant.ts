/** An instant as a line of a transfer file spells it, split so that no digit is lost to floating point. */
export interface Instant {
  /** Whole milliseconds since the epoch, rounded down. */
  readonly epochMs: number;
  /** The microseconds on top, 0 to 999. */
  readonly micros: number;
}

const RFC_3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$/;
const MINUTE_MS = 60_000;

/**
 * Reads an RFC 3339 instant. A time zone is required (a time without one means another instant on every machine);
 * digits beyond the microsecond are cut off; a day that the calendar does not have is refused, where `Date` would
 * move it into the next month.
 *
 * @returns null where the text is not such an instant.
 */
export function parseInstant(text: string): Instant | null {
  const match = RFC_3339.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour, minute, second, fraction = "", sign, offsetHours, offsetMinutes] = match;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null;
  const localMs = Date.UTC(
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
  );
  const date = new Date(localMs);
  const exists =
    date.getUTCFullYear() === Number(year) &&
    date.getUTCMonth() === Number(month) - 1 &&
    date.getUTCDate() === Number(day);
  if (!exists) return null;
  const aheadMs = sign === undefined ? 0 : (Number(offsetHours) * 60 + Number(offsetMinutes)) * MINUTE_MS;
  const digits = fraction.padEnd(6, "0");
  return {
    epochMs: localMs - (sign === "-" ? -aheadMs : aheadMs) + Number(digits.slice(0, 3)),
    micros: Number(digits.slice(3, 6)),
  };
}

/** `2026-11-22T10:15:30.123Z` */
export function formatMillis(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** `2026-11-22T10:15:30.123456Z` */
export function formatMicros(epochUs: number): string {
  const epochMs = Math.floor(epochUs / 1_000);
  const micros = String(epochUs - epochMs * 1_000).padStart(3, "0");
  return `${formatMillis(epochMs).slice(0, -1)}${micros}Z`;
}
