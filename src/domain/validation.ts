import type { Impression, View } from "./impression.ts";
import {
  CLOCK_TOLERANCE_MS,
  DWELL_MS_MAX,
  ID_CODE_POINTS_MAX,
  POSITION_MAX,
  SURFACE_CODE_POINTS_MAX,
} from "./limits.ts";
import { microsToMillis } from "./time.ts";
import { exceedsCodePoints } from "./utf8-order.ts";

/** What a broken client sends when it meant to send nothing. */
const JUNK_IDS: ReadonlySet<string> = new Set(["null", "undefined", "NaN", "[object Object]"]);
const CONTROL_CHARACTER = /\p{Cc}/u;

/**
 * Why a text cannot be a user's or a post's id, as the end of a sentence ("postId ..."), or null when it can.
 * Ids are compared byte by byte and never trimmed or normalized.
 */
export function idProblem(id: unknown): string | null {
  if (typeof id !== "string") return "must be a string";
  if (id.length === 0) return "must not be empty";
  if (exceedsCodePoints(id, ID_CODE_POINTS_MAX)) return `must have at most ${ID_CODE_POINTS_MAX} characters`;
  if (CONTROL_CHARACTER.test(id)) return "must not contain control characters";
  if (!id.isWellFormed()) return "must be well-formed Unicode (it has half of a surrogate pair)";
  if (JUNK_IDS.has(id)) return `must be a real id, not the text "${id}"`;
  return null;
}

/** Why an impression was not stored; also the last part of its dead letter's subject. */
export type RejectionReason =
  | "INVALID_USER_ID"
  | "INVALID_POST_ID"
  | "INVALID_FIELD"
  | "VIEWED_IN_FUTURE"
  | "OLDER_THAN_RETENTION";

export interface Rejection {
  readonly reason: RejectionReason;
  /** One sentence for a person. */
  readonly detail: string;
}

export type Judgement =
  | { readonly kind: "valid"; readonly view: View }
  | { readonly kind: "rejected"; readonly rejection: Rejection };

/** An impression as it came out of a queue message, where any field may be missing or of another type. */
export type UnjudgedImpression = { readonly [field in keyof Impression]?: unknown };

/**
 * Judges one impression by the rules of docs/semantics.md, against the instant at which it was received (not against
 * now: a backlog changes no result).
 */
export function judge(
  userId: unknown,
  receivedAtUs: number,
  impression: UnjudgedImpression,
  retentionMs: number,
): Judgement {
  const userProblem = idProblem(userId);
  if (userProblem !== null) return rejected("INVALID_USER_ID", `userId ${userProblem}`);
  const postProblem = idProblem(impression.postId);
  if (postProblem !== null) return rejected("INVALID_POST_ID", `postId ${postProblem}`);

  const { viewedAtMs } = impression;
  const surface = impression.surface ?? null;
  const position = impression.position ?? null;
  const dwellMs = impression.dwellMs ?? null;
  const fieldProblem =
    surfaceProblem(surface) ??
    integerProblem("position", position, POSITION_MAX) ??
    integerProblem("dwellMs", dwellMs, DWELL_MS_MAX);
  if (fieldProblem !== null) return rejected("INVALID_FIELD", fieldProblem);
  if (typeof viewedAtMs !== "number" || !Number.isSafeInteger(viewedAtMs)) {
    return rejected("INVALID_FIELD", "viewedAt must be an instant");
  }

  const receivedAtMs = microsToMillis(receivedAtUs);
  if (viewedAtMs > receivedAtMs + CLOCK_TOLERANCE_MS) {
    return rejected(
      "VIEWED_IN_FUTURE",
      `viewedAt is ${seconds(viewedAtMs - receivedAtMs)} s after it was received`,
    );
  }
  if (viewedAtMs < receivedAtMs - retentionMs) {
    return rejected(
      "OLDER_THAN_RETENTION",
      `viewedAt is ${seconds(receivedAtMs - viewedAtMs)} s before it was received`,
    );
  }
  const view: View = {
    userId: userId as string,
    postId: impression.postId as string,
    viewedAtMs,
    receivedAtUs,
    surface: surface as string | null,
    position: position as number | null,
    dwellMs: dwellMs as number | null,
  };
  return { kind: "valid", view };
}

/** Whether a view's time is over by now: it is acked and counted, neither stored nor dead-lettered. */
export function isExpired(view: View, nowMs: number, retentionMs: number): boolean {
  return view.viewedAtMs <= nowMs - retentionMs;
}

function surfaceProblem(surface: unknown): string | null {
  if (surface === null) return null;
  if (typeof surface !== "string") return "surface must be a string";
  if (exceedsCodePoints(surface, SURFACE_CODE_POINTS_MAX)) {
    return `surface must have at most ${SURFACE_CODE_POINTS_MAX} characters`;
  }
  return surface.isWellFormed()
    ? null
    : "surface must be well-formed Unicode (it has half of a surrogate pair)";
}

function integerProblem(field: string, value: unknown, max: number): string | null {
  if (value === null) return null;
  const fits = Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max;
  return fits ? null : `${field} must be an integer from 0 to ${max}, not ${shown(value)}`;
}

/** A value in a sentence. Not every value has a text: an object may come with a `toString` that is no function. */
function shown(value: unknown): string {
  return typeof value === "object" ? "an object" : String(value).slice(0, 32);
}

function rejected(reason: RejectionReason, detail: string): Judgement {
  return { kind: "rejected", rejection: { reason, detail } };
}

function seconds(milliseconds: number): number {
  return Math.round(milliseconds / 1_000);
}
