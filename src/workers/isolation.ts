import type { Delivery } from "../ports/impression-queue.ts";

/**
 * Pure: what to do with a message that may kill its worker (docs/semantics.md, "Messages that kill workers").
 *
 * A count of deliveries accuses nobody: it rises for every message in the hands of a worker that dies, for what was
 * given back, and for outages. It only makes a suspect, which is then tried alone, after a durable note that the try
 * has begun. Whoever lives through the try takes the note away. A note that stands when the message is delivered again
 * therefore says that a worker died, or hung, with nothing else in its hands.
 */

/** Deliveries that a message may have among others; from the next one on it is tried alone. */
const DELIVERIES_TOGETHER_MAX = 5;
/** Lone tries that ended with their worker, after which the message is dead-lettered. */
export const LONE_DEATHS_MAX = 3;

export function isSuspect({ deliveries }: Pick<Delivery, "deliveries">): boolean {
  return deliveries > DELIVERIES_TOGETHER_MAX;
}

/**
 * TRY: store it. DEAD_LETTER_EACH: a dead letter for each of its impressions. DEAD_LETTER_WHOLE: one dead letter of its
 * bytes, unread, because reading it is what kills.
 */
export type LoneStep = "TRY" | "DEAD_LETTER_EACH" | "DEAD_LETTER_WHOLE";

/**
 * @param attempts whose tries were begun and not ended, by the record.
 * @param self the worker that asks. It lives, so its own note (one that it could not take away) accuses nobody.
 */
export function loneStepOf(attempts: readonly string[], self: string): LoneStep {
  const deaths = othersIn(attempts, self).length;
  if (deaths < LONE_DEATHS_MAX) return "TRY";
  return deaths === LONE_DEATHS_MAX ? "DEAD_LETTER_EACH" : "DEAD_LETTER_WHOLE";
}

export function othersIn(attempts: readonly string[], self: string): readonly string[] {
  return attempts.filter((worker) => worker !== self);
}
