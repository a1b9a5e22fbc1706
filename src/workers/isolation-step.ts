import type { Delivery } from "../ports/impression-queue.ts";

/**
 * Pure: what to do with a message that may kill its worker (docs/semantics.md, "Messages that kill workers").
 *
 * A high delivery count does not prove that a message is poison: it also rises when a worker crashes with other messages in
 * flight, after naks, and in outages. It makes the message a candidate, which is then attempted with nothing else in flight,
 * after a durable record that the attempt has begun. A worker that survives the attempt deletes the record. A record that is
 * found at the next delivery therefore proves that a worker died, or hung, with no other message in flight.
 */

/** Deliveries of a message in the common flow; from the next one on its attempts are isolated. */
const SHARED_DELIVERIES_MAX = 5;
/** Isolated attempts that ended with their worker, after which the message is dead-lettered. */
export const ISOLATED_DEATHS_MAX = 3;

export function isPoisonCandidate({ deliveries }: Pick<Delivery, "deliveries">): boolean {
  return deliveries > SHARED_DELIVERIES_MAX;
}

/**
 * TRY: store it. DEAD_LETTER_EACH: a dead letter for each of its impressions. DEAD_LETTER_WHOLE: one dead letter of its
 * bytes, unread, because reading it is what kills.
 */
export type IsolationStep = "TRY" | "DEAD_LETTER_EACH" | "DEAD_LETTER_WHOLE";

/**
 * @param attempts the workers in the attempt record: they began an attempt and did not end it.
 * @param self the worker that asks. It lives, so its own entry (one that it could not delete) is no death.
 */
export function isolationStepOf(attempts: readonly string[], self: string): IsolationStep {
  const deaths = othersIn(attempts, self).length;
  if (deaths < ISOLATED_DEATHS_MAX) return "TRY";
  return deaths === ISOLATED_DEATHS_MAX ? "DEAD_LETTER_EACH" : "DEAD_LETTER_WHOLE";
}

export function othersIn(attempts: readonly string[], self: string): readonly string[] {
  return attempts.filter((worker) => worker !== self);
}
