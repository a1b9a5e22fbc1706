import type { Submission } from "./impression.ts";
import type { UnjudgedImpression } from "./validation.ts";
import { earlierVersions } from "./versions.ts";

/**
 * The body of a queue message: version 1, UTF-8 JSON.
 *
 *   {"v":1,"submissions":[{"userId":"u1","receivedAtUs":1790000000000000,"impressions":[{"postId":"p1",...}]}]}
 *
 * A submission out of a dead letter that was put back also says `"replayed":true`.
 *
 * A submission is serialized once, when it is accepted; a message is those texts joined. A reader of messages must
 * expect any content: the reader below refuses only what it cannot walk through, and leaves each impression to
 * `judge`.
 */
const MESSAGE_VERSION = 1;

const HEAD = `{"v":${MESSAGE_VERSION},"submissions":[`;
const TAIL = "]}";

/** One submission as it stands in a message. Fields that the client left out stay out: what is undefined is none in JSON. */
export function encodeSubmission(submission: Submission): string {
  return JSON.stringify({
    userId: submission.userId,
    receivedAtUs: submission.receivedAtUs,
    impressions: submission.impressions.map(({ postId, viewedAtMs, surface, position, dwellMs }) => ({
      postId,
      viewedAtMs,
      surface: surface ?? undefined,
      position: position ?? undefined,
      dwellMs: dwellMs ?? undefined,
    })),
  });
}

/** A message's body from encoded submissions. */
export function joinSubmissions(encoded: readonly string[]): string {
  return HEAD + encoded.join(",") + TAIL;
}

/** A submission as it came out of a message: the envelope is right, what is in it is not judged yet. */
export interface UnjudgedSubmission {
  readonly userId: unknown;
  readonly receivedAtUs: number;
  readonly impressions: readonly UnjudgedImpression[];
  /** Out of a dead letter that was put back. */
  readonly isReplay: boolean;
}

/** One impression of a message, with what its list says of all. */
export interface QueuedImpression {
  /** Its place in the whole message, from 0. */
  readonly index: number;
  readonly userId: unknown;
  /** The list's, and a microsecond more for each earlier version of the same view in the list. */
  readonly receivedAtUs: number;
  readonly impression: UnjudgedImpression;
  readonly isReplay: boolean;
}

/** All impressions of a message, in order. */
export function impressionsOf(submissions: readonly UnjudgedSubmission[]): QueuedImpression[] {
  let index = 0;
  return submissions.flatMap(({ userId, receivedAtUs, impressions, isReplay }) => {
    const earlier = earlierVersions(impressions);
    return impressions.map((impression, place) => ({
      index: index++,
      userId,
      receivedAtUs: receivedAtUs + (earlier?.[place] ?? 0),
      impression,
      isReplay,
    }));
  });
}

export type DecodedMessage =
  | { readonly kind: "message"; readonly submissions: readonly UnjudgedSubmission[] }
  | { readonly kind: "unreadable"; readonly detail: string };

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Reads a message's body; says why where it is not one. */
export function decodeMessage(body: Uint8Array): DecodedMessage {
  let message: unknown;
  try {
    message = JSON.parse(utf8.decode(body));
  } catch {
    return unreadable("the message is not UTF-8 JSON");
  }
  if (!isRecord(message)) return unreadable("the message is not a JSON object");
  const version = message.v;
  if (version !== MESSAGE_VERSION) {
    const shown =
      typeof version === "number" || typeof version === "string" ? String(version).slice(0, 32) : "none";
    return unreadable(`the message has version ${shown}; this worker reads ${MESSAGE_VERSION}`);
  }
  if (!Array.isArray(message.submissions)) return unreadable("the message has no list of submissions");
  const submissions: UnjudgedSubmission[] = [];
  for (const submission of message.submissions as unknown[]) {
    if (!isRecord(submission) || !Array.isArray(submission.impressions)) {
      return unreadable("a submission has no list of impressions");
    }
    const { receivedAtUs } = submission;
    if (!Number.isSafeInteger(receivedAtUs) || (receivedAtUs as number) <= 0) {
      return unreadable("a submission has no receivedAtUs in microseconds");
    }
    submissions.push({
      userId: submission.userId,
      receivedAtUs: receivedAtUs as number,
      impressions: (submission.impressions as unknown[]).map((impression) =>
        isRecord(impression) ? impression : {},
      ),
      isReplay: submission.replayed === true,
    });
  }
  return { kind: "message", submissions };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unreadable(detail: string): DecodedMessage {
  return { kind: "unreadable", detail };
}
