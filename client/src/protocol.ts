import { INSTANT_MS_MAX } from "./impression.ts";
import type { WaitingView } from "./outbox-chunk.ts";
import type { HttpAnswer } from "./platform.ts";

/** The documented operation, without optional whitespace. */
const DOCUMENT =
  "mutation RecordImpressions($input:RecordImpressionsInput!){recordImpressions(input:$input){accepted receivedAt flushAfterMs}}";

/** A proxy may ask for any wait; the client waits at most an hour. */
const SERVER_WAIT_MS_MAX = 3_600_000;

/** What an answer means for the views of the request. */
export type SendOutcome =
  /** The server stored them in its queue. */
  | { readonly kind: "accepted"; readonly receivedAtMs: number; readonly flushAfterMs: number }
  /** The request was too large. */
  | { readonly kind: "split"; readonly code: string; readonly message: string }
  /** The server will never take the view at this place of the list. */
  | { readonly kind: "refused"; readonly place: number; readonly code: string; readonly message: string }
  /** The views may be fine: the sender is not allowed, or another server answered. */
  | { readonly kind: "blocked"; readonly code: string; readonly message: string }
  /** A temporary failure. The server asked to wait for `waitMs`. */
  | { readonly kind: "later"; readonly code: string; readonly message: string; readonly waitMs: number };

/** A view in the JSON of a request. */
export function viewJson({ postId, viewedAtMs, surface, position, dwellMs }: WaitingView): string {
  return JSON.stringify({ postId, viewedAt: instant(viewedAtMs), surface, position, dwellMs });
}

/** The request's body. `userId` is undefined where the token identifies the user. */
export function bodyOf(
  views: readonly string[],
  sentAtMs: number | null,
  userId: string | undefined,
): string {
  const input = JSON.stringify({ userId, sentAt: sentAtMs === null ? undefined : instant(sentAtMs) });
  const comma = input === "{}" ? "" : ",";
  return `{"query":"${DOCUMENT}","variables":{"input":${input.slice(0, -1)}${comma}"impressions":[${views.join()}]}}}`;
}

/** Bytes of a body beside its views, at most: the document, sentAt, and a user id of 128 characters of four bytes each. */
export const BODY_FRAME_BYTES_MAX = 1_024;

/** Bytes of a text in UTF-8. Some versions of React Native have no TextEncoder. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    // Each half of a surrogate pair counts for two of the pair's four bytes.
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}

interface Answer {
  readonly data?: {
    readonly recordImpressions?: { readonly receivedAt: string; readonly flushAfterMs: number };
  } | null;
  readonly errors?: readonly ({
    readonly message?: unknown;
    readonly extensions?: { readonly code?: unknown; readonly retryAfterMs?: number };
  } | null)[];
}

/**
 * The place of the refused view in the list, or null where the error names none. Only an error of these codes (the server's
 * docs/errors.md) that names a view deletes it. Any other answer may come from another server, or be caused by a damaged
 * request, an older server, a token or an address: such causes get fixed, and the views are kept until then.
 */
function refusedPlace(code: string, message: string, sent: number): number | null {
  switch (code) {
    case "BAD_USER_INPUT": {
      // The server's own checks of the list begin like this. GraphQL's own errors quote the input, and would blame a
      // view for a field that the schema lacks.
      const place = Number(/^input\.impressions\[(\d+)]\./.exec(message)?.[1] ?? sent);
      return place < sent ? place : null;
    }
    case "BATCH_TOO_LARGE":
      return sent === 1 ? 0 : null;
    default:
      return null;
  }
}

/** Decides by the error code, and by the status where another server answered. `sent`: number of views in the request. */
export function outcomeOf(
  { status, retryAfter, text, redirectedTo }: HttpAnswer,
  sent: number,
  nowMs: number,
): SendOutcome {
  const answer = parse(text);
  const recorded = answer?.data?.recordImpressions;
  const receivedAtMs = Date.parse(recorded?.receivedAt ?? "");
  if (recorded != null && Number.isFinite(receivedAtMs) && status >= 200 && status < 300) {
    return { kind: "accepted", receivedAtMs, flushAfterMs: bounded(recorded.flushAfterMs) };
  }
  const error = answer?.errors?.[0];
  const code = textOr(error?.extensions?.code, `HTTP_${status}`);
  const reason = textOr(
    error?.message,
    `the endpoint answered with status ${status}, not as an Impressions server does`,
  );
  // A redirect with 301 or 302 turns a POST into a GET without a body.
  const message =
    redirectedTo === undefined ? reason : `${reason} (redirected: is the endpoint ${redirectedTo}?)`;
  const place = refusedPlace(code, message, sent);
  if (place !== null) return { kind: "refused", place, code, message };
  if ((code === "BATCH_TOO_LARGE" || status === 413) && sent > 1) return { kind: "split", code, message };
  const isTemporary = status === 408 || status === 425 || status === 429;
  const isPermanent = status >= 300 && status < 500 && !isTemporary;
  const denied = code === "UNAUTHENTICATED" || code === "FORBIDDEN" || code === "BAD_USER_INPUT";
  if (denied || isPermanent) return { kind: "blocked", code, message };
  const waitMs = bounded(error?.extensions?.retryAfterMs ?? headerMs(retryAfter, nowMs));
  return { kind: "later", code, message, waitMs };
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === "string" ? value : otherwise;
}

/** Retry-After: seconds, or a date. */
function headerMs(retryAfter: string | null, nowMs: number): number {
  if (retryAfter === null) return 0;
  const seconds = Number(retryAfter);
  return Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(retryAfter) - nowMs;
}

function bounded(milliseconds: number): number {
  return milliseconds > 0 ? Math.min(milliseconds, SERVER_WAIT_MS_MAX) : 0;
}

/** Clamps the time, since a damaged clock may show one that the format cannot express. */
function instant(milliseconds: number): string {
  return new Date(Math.min(Math.max(milliseconds, 0), INSTANT_MS_MAX)).toISOString();
}

function parse(text: string): Answer | null {
  try {
    return JSON.parse(text) as Answer | null;
  } catch {
    return null;
  }
}
