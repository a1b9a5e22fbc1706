import { type DeadLetter, deadLetterId, VALUES_CUT_NOTE } from "../domain/dead-letter.ts";
import type { View } from "../domain/impression.ts";
import { ID_CODE_POINTS_MAX } from "../domain/limits.ts";
import { decodeMessage, impressionsOf, type QueuedImpression } from "../domain/queue-message.ts";
import type { UnjudgedImpression } from "../domain/validation.ts";
import type { Delivery } from "../ports/impression-queue.ts";

/**
 * Pure: the dead letters that the workers write, each with what arrived, as it arrived, but for values that are longer than
 * any valid one: a sender of junk must not fill the dead letters with it.
 */

/** The dead letter of one impression, as JSON: held by test/unit/worker-dead-letters.test.ts. Usual ones have some 400 bytes. */
export const DEAD_LETTER_BYTES_MAX = 4_096;
/** As JSON, with its quotes: the longest valid value is an id of four-byte characters. */
const VALUE_BYTES_MAX = 4 * ID_CODE_POINTS_MAX + 2;
/** Characters that are kept of a longer one, to tell by what it is. */
const CUT_VALUE_CHARACTERS = 48;
/** All values of an impression with their names, as JSON; a valid one has under 1.1 KB. */
const IMPRESSION_BYTES_MAX = 2_048;
/** What the store says of a row. */
const DETAIL_CHARACTERS_MAX = 500;

export interface PlanRules {
  readonly stream: string;
  readonly retentionMs: number;
  readonly nowMs: number;
  /** Whether the valid views of this message are stored already; see StoredParts. */
  readonly isStored?: (delivery: Delivery) => boolean;
  /** The time by which views are over (domain/guarded-clock.ts). */
  readonly expiryMs: number;
}

/** Where an impression stood: which message, and its place in it, from 0. */
export interface Source {
  readonly delivery: Delivery;
  readonly index: number;
  readonly view: View;
}

export interface PlannedDeadLetter {
  readonly delivery: Delivery;
  readonly letter: DeadLetter;
  /** An operator has put the impression back: its letter was deleted for that, so it always gets one again. */
  readonly isReplay?: boolean;
}

/** Whether what the dead letter holds was received before its user was erased: it is forgotten then. */
export function isErased({ letter }: PlannedDeadLetter, erasedThrough: ReadonlyMap<string, number>): boolean {
  const { userId, receivedAtUs } = letter;
  return userId !== null && receivedAtUs !== null && receivedAtUs <= (erasedThrough.get(userId) ?? 0);
}

/** The index of a dead letter of a whole message: it must not be taken for the dead letter of the first impression. */
const WHOLE_MESSAGE = -1;

/** Where an impression stood in the queue. */
type Place = Pick<Source, "delivery" | "index">;

/** The dead letter of an impression that can never be stored. */
export function rejectedDeadLetter(
  delivery: Delivery,
  { index, userId, receivedAtUs, impression }: QueuedImpression,
  rejection: Pick<DeadLetter, "reason" | "detail">,
  rules: PlanRules,
): DeadLetter {
  const payload = { userId: shortened(userId), receivedAtUs, impression: shortenedFields(impression) };
  const isWhole = payload.userId === userId && payload.impression === impression;
  return {
    ...letterBase({ delivery, index }, rules),
    reason: rejection.reason,
    detail: isWhole ? rejection.detail : `${rejection.detail} ${VALUES_CUT_NOTE}`,
    // No user can have an id that had to be cut.
    userId: typeof userId === "string" && payload.userId === userId ? userId : null,
    receivedAtUs,
    payload,
  };
}

/** The dead letter of a valid view that the store refuses. */
export function refusedDeadLetter(source: Source, detail: string, rules: PlanRules): DeadLetter {
  const { userId, receivedAtUs, ...impression } = source.view;
  return {
    ...letterBase(source, rules),
    reason: "REJECTED_BY_STORE",
    detail: detail.slice(0, DETAIL_CHARACTERS_MAX),
    userId,
    receivedAtUs,
    payload: { userId, receivedAtUs, impression },
  };
}

/** The dead letter of a message that cannot be read. */
export function unreadableDeadLetter(delivery: Delivery, detail: string, rules: PlanRules): DeadLetter {
  return wholeLetter(delivery, "UNREADABLE_MESSAGE", detail, rules);
}

/**
 * The dead letters of a message that kills its workers: one for each of its impressions, so that they can be found by
 * user, erased and put back one by one; its bytes where it holds none that can be read.
 */
export function crashedDeadLetters(
  delivery: Delivery,
  deaths: readonly string[],
  rules: PlanRules,
): PlannedDeadLetter[] {
  const message = decodeMessage(delivery.body);
  const impressions = message.kind === "message" ? impressionsOf(message.submissions) : [];
  const rejection = { reason: "CRASHED_WORKER", detail: crashDetail(deaths) } as const;
  const letters = impressions.map((queued) => ({
    delivery,
    letter: rejectedDeadLetter(delivery, queued, rejection, rules),
  }));
  return letters.length > 0 ? letters : [crashedWholeDeadLetter(delivery, deaths, rules)];
}

/** The same as one dead letter of its bytes, which are not looked at. */
export function crashedWholeDeadLetter(
  delivery: Delivery,
  deaths: readonly string[],
  rules: PlanRules,
): PlannedDeadLetter {
  return { delivery, letter: wholeLetter(delivery, "CRASHED_WORKER", crashDetail(deaths), rules) };
}

function crashDetail(deaths: readonly string[]): string {
  return `its worker died or hung in each isolated attempt: ${deaths.join(", ")}`;
}

function wholeLetter(
  delivery: Delivery,
  reason: "UNREADABLE_MESSAGE" | "CRASHED_WORKER",
  detail: string,
  rules: PlanRules,
): DeadLetter {
  return {
    ...letterBase({ delivery, index: WHOLE_MESSAGE }, rules),
    reason,
    detail,
    userId: null,
    receivedAtUs: null,
    payload: { base64: Buffer.from(delivery.body).toString("base64") },
  };
}

function letterBase({ delivery, index }: Place, { stream, nowMs }: PlanRules) {
  return {
    id: deadLetterId(stream, delivery.sequence, index),
    failedAtMs: nowMs,
    deliveries: delivery.deliveries,
  };
}

/** The impression itself where all of its values are short enough, else a copy with the long ones cut. */
function shortenedFields(impression: UnjudgedImpression): unknown {
  const fields = Object.entries(impression);
  const shorter = fields.map(([name, value]) => [name, shortened(value)] as const);
  const isSame = shorter.every(([, value], index) => value === fields[index]?.[1]);
  return shortened(isSame ? impression : Object.fromEntries(shorter), IMPRESSION_BYTES_MAX);
}

/** The value itself where it is short enough, else the beginning of it as a text. */
function shortened(value: unknown, bytesMax = VALUE_BYTES_MAX): unknown {
  if (value === null || (typeof value !== "object" && typeof value !== "string")) return value;
  let json: string;
  try {
    json = JSON.stringify(value);
  } catch {
    return "(nested too deeply to be shown)";
  }
  const bytes = Buffer.byteLength(json);
  if (bytes <= bytesMax) return value;
  const text = typeof value === "string" ? value : json;
  // Half of a character would be no valid text in UTF-8, and readers in other languages stumble over it.
  const beginning = text.slice(0, CUT_VALUE_CHARACTERS).replace(/[\uD800-\uDBFF]$/, "");
  return `${beginning}... (cut: ${bytes} bytes)`;
}
