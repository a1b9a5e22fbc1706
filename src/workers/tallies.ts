import type { DeadLetterReason } from "../domain/dead-letter.ts";
import type { Delivery } from "../ports/impression-queue.ts";
import type { WorkerCounts } from "./counts.ts";

/**
 * What became of the impressions of a pull, message by message, kept back until the message is acknowledged. One that is
 * given back comes again with another pull, and its impressions count then.
 */
export interface Tallies {
  stored(delivery: Delivery): void;
  expired(delivery: Delivery): void;
  deadLettered(delivery: Delivery, reason: DeadLetterReason): void;
  /** One that is dead-lettered has no dead letter of its own. */
  omitted(delivery: Delivery): void;
  /** The message is acknowledged: its impressions count. */
  count(delivery: Delivery, counts: WorkerCounts): void;
}

interface Tally {
  stored: number;
  expired: number;
  omitted: number;
  readonly deadLettered: DeadLetterReason[];
}

export function createTallies(): Tallies {
  const tallies = new Map<Delivery, Tally>();

  function of(delivery: Delivery): Tally {
    let tally = tallies.get(delivery);
    if (tally === undefined) {
      tally = { stored: 0, expired: 0, omitted: 0, deadLettered: [] };
      tallies.set(delivery, tally);
    }
    return tally;
  }

  return {
    stored: (delivery) => void of(delivery).stored++,
    expired: (delivery) => void of(delivery).expired++,
    deadLettered: (delivery, reason) => void of(delivery).deadLettered.push(reason),
    omitted: (delivery) => void of(delivery).omitted++,
    count(delivery, counts) {
      const { stored, expired, omitted, deadLettered } = of(delivery);
      counts.stored += stored;
      counts.expired += expired;
      counts.deadLettersOmitted += omitted;
      for (const reason of deadLettered) counts.deadLettered[reason]++;
    },
  };
}
