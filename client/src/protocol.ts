import { INSTANT_MS_MAX } from "./impression.ts";
import type { WaitingView } from "./outbox-chunk.ts";
import type { HttpAnswer } from "./platform.ts";

/** The documented operation, without what a server need not parse. */
const DOCUMENT =
  "mutation RecordImpressions($input:RecordImpressionsInput!){recordImpressions(input:$input){accepted receivedAt flushAfterMs}}";

/** A proxy may ask for any wait; the client waits for an hour at most. */
const SERVER_WAIT_MS_MAX = 3_600_000;

/** What an answer means for the views that were sent. */
export type SendOutcome =
  /** The server has them. */
  | { readonly kind: "accepted"; readonly receivedAtMs: number; readonly flushAfterMs: number }
  /** Too many at once. */
  | { readonly kind: "split"; readonly code: string; readonly message: string }
  /** The one at this place of the list will never be taken. */
  | { readonly kind: "refused"; readonly place: number; readonly code: string; readonly message: string }
  /** Nothing is known to be wrong with them; the sender is not allowed, or this is not the server. */
  | { readonly kind: "blocked"; readonly code: string; readonly message: string }
  /** Later. `waitMs` is what the server asked for. */
  | { readonly kind: "later"; readonly code: string; readonly message: string; readonly waitMs: number };

/** A view as it stands in a request. */
export function viewJson({ postId, viewedAtMs, surface, position, dwellMs }: WaitingView): string {
  return JSON.stringify({ postId, viewedAt: instant(viewedAtMs), surface, position, dwellMs });
}

/** The request's body. `userId` is left out where the token says who it is. */
export function bodyOf(
  views: readonly string[],
  sentAtMs: number | null,
  userId: string | undefined,
): string {
  const input = JSON.stringify({ userId, sentAt: sentAtMs === null ? undefined : instant(sentAtMs) });
  const comma = input === "{}" ? "" : ",";
  return `{"query":"${DOCUMENT}","variables":{"input":${input.slice(0, -1)}${comma}"impressions":[${views.join()}]}}}`;
}

/** What a body has beside its views, at most: the document, sentAt, and a user id of 128 characters, four bytes each. */
export const BODY_FRAME_BYTES_MAX = 1_024;

/** Bytes of a text in UTF-8; React Native has no TextEncoder everywhere. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    // Half of a surrogate pair is two of the pair's four bytes.
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
 * All that deletes a view: an error of these codes (the server's docs/errors.md) that tells which one it is about, by its
 * place in the list, or null where it tells none. Any other answer may come from another server, or be about a request that
 * was damaged on its way, an older server, a token, an address: such faults get fixed, and the views are kept until then.
 */
function refusedPlace(code: string, message: string, sent: number): number | null {
  switch (code) {
    case "BAD_USER_INPUT": {
      // How the server's own checks of the list begin. GraphQL's errors quote the request, and would blame a view for a
      // field that the schema lacks.
      const place = Number(/^input\.impressions\[(\d+)]\./.exec(message)?.[1] ?? sent);
      return place < sent ? place : null;
    }
    case "BATCH_TOO_LARGE":
      return sent === 1 ? 0 : null;
    default:
      return null;
  }
}

/** Decides by the code, and where something else answered in the server's place, by the status. `sent`: views in the request. */
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
  const told = textOr(
    error?.message,
    `the endpoint answered with status ${status}, not as an Impressions server does`,
  );
  // 301 and 302 make a GET without a body of a POST.
  const message =
    redirectedTo === undefined ? told : `${told} (redirected: is the endpoint ${redirectedTo}?)`;
  const place = refusedPlace(code, message, sent);
  if (place !== null) return { kind: "refused", place, code, message };
  if ((code === "BATCH_TOO_LARGE" || status === 413) && sent > 1) return { kind: "split", code, message };
  const passing = status === 408 || status === 425 || status === 429;
  const mendedByNobodySoon = status >= 300 && status < 500 && !passing;
  const denied = code === "UNAUTHENTICATED" || code === "FORBIDDEN" || code === "BAD_USER_INPUT";
  if (denied || mendedByNobodySoon) return { kind: "blocked", code, message };
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

/** A damaged clock must not make an instant that cannot be written. */
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
