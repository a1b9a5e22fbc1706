import { type DeadLetter, deadLetterId } from "../domain/dead-letter.ts";
import type { View } from "../domain/impression.ts";
import { decodeMessage, impressionsOf, type QueuedImpression } from "../domain/queue-message.ts";
import type { Delivery } from "../ports/impression-queue.ts";

/** Pure: the dead letters that the workers write, each with what arrived, as it arrived. */

export interface PlanRules {
  readonly stream: string;
  readonly retentionMs: number;
  readonly nowMs: number;
}

/** Where an impression stood: which message, and its place in it, from 0. */
export interface Source {
  readonly delivery: Delivery;
  readonly index: number;
  readonly view: View;
}

export interface PlannedLetter {
  readonly delivery: Delivery;
  readonly letter: DeadLetter;
}

/** The index of a letter of a whole message: it must not be taken for the letter of the first impression. */
const WHOLE_MESSAGE = -1;

/** Where an impression stood in the queue. */
type Place = Pick<Source, "delivery" | "index">;

/** The dead letter of an impression that can never be stored. */
export function rejectedLetter(
  delivery: Delivery,
  { index, userId, receivedAtUs, impression }: QueuedImpression,
  rejection: Pick<DeadLetter, "reason" | "detail">,
  rules: PlanRules,
): DeadLetter {
  return {
    ...letterBase({ delivery, index }, rules),
    ...rejection,
    userId: typeof userId === "string" ? userId : null,
    receivedAtUs,
    payload: { userId: showable(userId), receivedAtUs, impression: showable(impression) },
  };
}

/** The dead letter of a valid view that the store refuses. */
export function refusedLetter(source: Source, detail: string, rules: PlanRules): DeadLetter {
  const { userId, receivedAtUs, ...impression } = source.view;
  return {
    ...letterBase(source, rules),
    reason: "REJECTED_BY_STORE",
    detail,
    userId,
    receivedAtUs,
    payload: { userId, receivedAtUs, impression },
  };
}

/** The dead letter of a message that cannot be read. */
export function unreadableLetter(delivery: Delivery, detail: string, rules: PlanRules): DeadLetter {
  return wholeLetter(delivery, "UNREADABLE_MESSAGE", detail, rules);
}

/**
 * The dead letters of a message that kills its workers: one for each of its impressions, so that they can be found by
 * user, erased and put back one by one; its bytes where it holds none that can be read.
 */
export function crashedLetters(
  delivery: Delivery,
  deaths: readonly string[],
  rules: PlanRules,
): PlannedLetter[] {
  const message = decodeMessage(delivery.body);
  const impressions = message.kind === "message" ? impressionsOf(message.submissions) : [];
  const rejection = { reason: "CRASHED_WORKER", detail: crashDetail(deaths) } as const;
  const letters = impressions.map((queued) => ({
    delivery,
    letter: rejectedLetter(delivery, queued, rejection, rules),
  }));
  return letters.length > 0 ? letters : [crashedWholeLetter(delivery, deaths, rules)];
}

/** The same as one letter of its bytes, which are not looked at. */
export function crashedWholeLetter(
  delivery: Delivery,
  deaths: readonly string[],
  rules: PlanRules,
): PlannedLetter {
  return { delivery, letter: wholeLetter(delivery, "CRASHED_WORKER", crashDetail(deaths), rules) };
}

function crashDetail(deaths: readonly string[]): string {
  return `tried alone, and its worker died or hung each time: ${deaths.join(", ")}`;
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

/** A value as it arrived, unless it is nested so deeply that it could not be written down again. */
function showable(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const flat = Object.values(value).every((field) => typeof field !== "object" || field === null);
  if (flat) return value;
  try {
    JSON.stringify(value);
    return value;
  } catch {
    return "(nested too deeply to be shown)";
  }
}
