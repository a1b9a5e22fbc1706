import type { DeadLetterReason } from "../domain/dead-letter.ts";
import type { Delivery } from "../ports/impression-queue.ts";
import type { WorkerCounters } from "./counters.ts";

/**
 * Counts the impressions of a pull by message, and adds them to the worker's counters when the message is acked. A nacked message
 * comes again with another pull, and its impressions count then.
 */
export interface MessageCounters {
  stored(delivery: Delivery): void;
  expired(delivery: Delivery): void;
  deadLettered(delivery: Delivery, reason: DeadLetterReason): void;
  /** One that is dead-lettered has no dead letter of its own. */
  omitted(delivery: Delivery): void;
  /** The message is acknowledged: its impressions count. */
  count(delivery: Delivery, counts: WorkerCounters): void;
}

interface MessageCounter {
  stored: number;
  expired: number;
  omitted: number;
  readonly deadLettered: DeadLetterReason[];
}

export function createMessageCounters(): MessageCounters {
  const byMessage = new Map<Delivery, MessageCounter>();

  function of(delivery: Delivery): MessageCounter {
    let counter = byMessage.get(delivery);
    if (counter === undefined) {
      counter = { stored: 0, expired: 0, omitted: 0, deadLettered: [] };
      byMessage.set(delivery, counter);
    }
    return counter;
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
