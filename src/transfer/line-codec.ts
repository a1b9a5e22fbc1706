import type { View } from "../domain/impression.ts";
import {
  formatInstant,
  formatInstantMicros,
  parseInstant,
  parseInstantMicros,
  whyNoInstant,
} from "../domain/instant.ts";
import type { RejectionReason, UnjudgedImpression } from "../domain/validation.ts";

/**
 * One impression as a line of a transfer file (newline-delimited JSON, docs/import-export.md):
 *
 *   {"userId":"u1","postId":"p1","viewedAt":"2026-11-22T10:15:30.123Z","surface":"HOME","position":3,"dwellMs":1200,
 *    "receivedAt":"2026-11-22T10:15:31.123456Z"}
 */
const FIELDS: ReadonlySet<string> = new Set([
  "userId",
  "postId",
  "viewedAt",
  "surface",
  "position",
  "dwellMs",
  "receivedAt",
]);

/**
 * A number below this is no plausible count of milliseconds (it is in March 1973) but a plausible count of seconds
 * (until the year 5138). Taken as milliseconds a whole dump in seconds would silently be "older than the retention".
 */
const EPOCH_MS_PLAUSIBLE_MIN = 100_000_000_000;
/** How much of a foreign text a sentence quotes. */
const QUOTE_CHARACTERS_MAX = 64;

/** Why a line was not imported: what `judge` says of its impression, or what is wrong with the line itself. */
export type LineRejectionReason =
  | RejectionReason
  | "UNREADABLE_LINE"
  | "LINE_TOO_LONG"
  | "UNKNOWN_FIELD"
  | "LOST_CHARACTERS";

export interface LineRejection {
  readonly reason: LineRejectionReason;
  /** One sentence for a person. */
  readonly detail: string;
}

/** A line that could be read; its impression is not judged yet. */
export interface LineRecord {
  readonly userId: unknown;
  /** Null where the line does not say. */
  readonly receivedAtUs: number | null;
  readonly impression: UnjudgedImpression;
}

export type DecodedLine =
  | { readonly kind: "record"; readonly record: LineRecord }
  | { readonly kind: "rejected"; readonly rejection: LineRejection };

/**
 * A view as a line, without the line feed. All fields are in every line, null where the client left one out: programs
 * that read such files learn the columns from the first lines, and would not see one that comes later.
 */
export function encodeLine(view: View): string {
  // Built by hand: it runs once for every stored view, and the order of the fields is part of the format.
  let line = `{"userId":${JSON.stringify(view.userId)},"postId":${JSON.stringify(view.postId)}`;
  line += `,"viewedAt":"${formatInstant(view.viewedAtMs)}"`;
  line += `,"surface":${JSON.stringify(view.surface)},"position":${view.position},"dwellMs":${view.dwellMs}`;
  return `${line},"receivedAt":"${formatInstantMicros(view.receivedAtUs)}"}`;
}

/**
 * Reads a line. Refuses what is not a JSON object, fields it does not know (a misspelt `dwelMs` must not be lost in
 * silence) and instants it cannot read; everything else is left to `judge`.
 */
export function decodeLine(text: string): DecodedLine {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch (error) {
    return rejected("UNREADABLE_LINE", `the line is not JSON (${(error as SyntaxError).message})`);
  }
  if (typeof line !== "object" || line === null || Array.isArray(line)) {
    return rejected("UNREADABLE_LINE", "the line is not a JSON object");
  }
  for (const field of Object.keys(line)) {
    if (!FIELDS.has(field)) {
      return rejected(
        "UNKNOWN_FIELD",
        `unknown field ${quote(field)}; the fields are ${[...FIELDS].join(", ")}`,
      );
    }
  }
  const fields = line as Record<string, unknown>;

  const viewedAtMs = viewedAtOf(fields.viewedAt);
  if (typeof viewedAtMs === "string") return rejected("INVALID_FIELD", viewedAtMs);
  const receivedAtUs = receivedAtOf(fields.receivedAt);
  if (typeof receivedAtUs === "string") return rejected("INVALID_FIELD", receivedAtUs);
  const { userId, postId, surface, position, dwellMs } = fields;
  return {
    kind: "record",
    record: { userId, receivedAtUs, impression: { postId, viewedAtMs, surface, position, dwellMs } },
  };
}

/** Epoch milliseconds, or a sentence that says what is wrong. */
function viewedAtOf(value: unknown): number | string {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) return "viewedAt as a number must be whole milliseconds since 1970";
    if (Math.abs(value) < EPOCH_MS_PLAUSIBLE_MIN) {
      return `viewedAt ${value} looks like seconds; as a number it must be milliseconds since 1970`;
    }
    return value;
  }
  if (value === undefined || value === null) return "viewedAt is missing";
  const instantMs = typeof value === "string" ? parseInstant(value) : null;
  return (
    instantMs ??
    `viewedAt must be like "2026-11-22T10:15:30.123Z" or milliseconds since 1970, not ${noInstant(value)}`
  );
}

/** Epoch microseconds, null where there is none, or a sentence that says what is wrong. */
function receivedAtOf(value: unknown): number | null | string {
  if (value === undefined || value === null) return null;
  const instantUs = typeof value === "string" ? parseInstantMicros(value) : null;
  if (instantUs === null || instantUs <= 0) {
    return `receivedAt must be like "2026-11-22T10:15:31.123456Z", not ${noInstant(value)}`;
  }
  return instantUs;
}

/** Whatever stands in an instant's place, and, where it is a text, why it is none. */
function noInstant(value: unknown): string {
  return typeof value === "string" ? `${quote(value)}: ${whyNoInstant(value)}` : quote(value);
}

function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length <= QUOTE_CHARACTERS_MAX ? text : `${text.slice(0, QUOTE_CHARACTERS_MAX)}…`;
}

function rejected(reason: LineRejectionReason, detail: string): DecodedLine {
  return { kind: "rejected", rejection: { reason, detail } };
}
