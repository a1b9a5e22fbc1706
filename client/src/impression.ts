/** Optional details of a view. */
export interface ViewDetails {
  /** The part of the app that showed the post: HOME, SEARCH, NOTIFICATION, ... At most 64 characters. */
  readonly surface?: string;
  /** Place of the post in its list, from 0 to 100,000. */
  readonly position?: number;
  /** How long the post stayed on the screen, in milliseconds, up to a day. Fractions are rounded. */
  readonly dwellMs?: number;
  /** When the view began, by this device's clock: a Date or epoch milliseconds. Default: now. */
  readonly at?: Date | number;
}

/** A recorded view. `viewedAtMs` is in epoch milliseconds, by the server's clock as far as that is known. */
export interface Impression {
  readonly postId: string;
  readonly viewedAtMs: number;
  readonly surface?: string;
  readonly position?: number;
  readonly dwellMs?: number;
}

/** The server's rules (its docs/semantics.md). The SDK reports what the server would reject or make a dead letter. */
const ID_CODE_POINTS_MAX = 128;
const SURFACE_CODE_POINTS_MAX = 64;
const POSITION_MAX = 100_000;
const DWELL_MS_MAX = 86_400_000;
/** An instant of the year 9892: the wire format has four digits for the year. */
export const INSTANT_MS_MAX: number = 2.5e14;
const JUNK_IDS: readonly string[] = ["null", "undefined", "NaN", "[object Object]"];
const CONTROL_CHARACTER = /\p{Cc}/u;
const LONE_SURROGATE = /\p{Cs}/u;

/** Why this cannot be the id of a user or a post, as the end of a sentence; null where it can. */
export function idProblem(id: unknown): string | null {
  if (typeof id !== "string" || id === "") return "must be a string that is not empty";
  if (codePoints(id) > ID_CODE_POINTS_MAX) return `must have at most ${ID_CODE_POINTS_MAX} characters`;
  if (CONTROL_CHARACTER.test(id)) return "must not contain control characters";
  if (LONE_SURROGATE.test(id)) return "must be well-formed Unicode";
  return JUNK_IDS.includes(id) ? `must be a real id, not the text "${id}"` : null;
}

/** Why `viewed` cannot take this, as a sentence; null where it can. */
export function viewProblem(postId: unknown, details: ViewDetails, atMs: number): string | null {
  const problem = idProblem(postId);
  if (problem !== null) return `postId ${problem}`;
  const { surface, position, dwellMs } = details;
  if (surface !== undefined && (typeof surface !== "string" || codePoints(surface) > SURFACE_CODE_POINTS_MAX))
    return `surface must be a string of at most ${SURFACE_CODE_POINTS_MAX} characters`;
  if (surface !== undefined && LONE_SURROGATE.test(surface)) return "surface must be well-formed Unicode";
  if (position !== undefined && !(Number.isInteger(position) && position >= 0 && position <= POSITION_MAX))
    return `position must be an integer from 0 to ${POSITION_MAX}, not ${String(position)}`;
  if (dwellMs !== undefined && !(typeof dwellMs === "number" && dwellMs >= 0 && dwellMs <= DWELL_MS_MAX))
    return `dwellMs must be from 0 to ${DWELL_MS_MAX}, not ${String(dwellMs)}`;
  return typeof atMs === "number" && atMs >= 0 && atMs <= INSTANT_MS_MAX
    ? null
    : "at must be a valid date from 1970 on";
}

function codePoints(text: string): number {
  return Array.from(text).length;
}
