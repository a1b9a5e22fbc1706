import { DEAD_LETTER_REASONS, type DeadLetterReason } from "../domain/dead-letter.ts";
import type { Delivery } from "../ports/impression-queue.ts";

/**
 * What the worker loops of this process have done since they started; every number only grows.
 *
 * Impressions count when their message is acknowledged, once, however often parts of it were tried before: whatever was
 * accepted is in exactly one of `stored`, `expired` and `deadLettered` in the end. (A message whose acknowledgement was
 * lost comes again and counts again.)
 */
export interface WorkerCounters {
  /** Pulls that brought messages. */
  pulls: number;
  /** Messages delivered, repeated ones included. */
  messages: number;
  /** Of them, those that had been delivered before. */
  redeliveries: number;
  acknowledged: number;
  /** Messages nacked, to be tried again. */
  nacked: number;
  /** Isolated attempts of messages that were delivered often. */
  isolatedAttempts: number;
  /** Impressions stored, those included that were sent twice or whose user was erased meanwhile. */
  stored: number;
  /** Impressions whose retention ended while they waited in the queue. */
  expired: number;
  /** Impressions in the dead letters, by reason; a message that could not be read counts as one. */
  deadLettered: Record<DeadLetterReason, number>;
  /** Of them, those beyond their user's budget: counted, without a dead letter of their own. */
  deadLettersOmitted: number;
  /** Dead letters that could not be written: their messages are nacked. */
  deadLettersFailed: number;
}

export function createWorkerCounters(): WorkerCounters {
  return {
    pulls: 0,
    messages: 0,
    redeliveries: 0,
    acknowledged: 0,
    nacked: 0,
    isolatedAttempts: 0,
    stored: 0,
    expired: 0,
    deadLettersOmitted: 0,
    deadLettersFailed: 0,
    deadLettered: Object.fromEntries(DEAD_LETTER_REASONS.map((reason) => [reason, 0])) as Record<
      DeadLetterReason,
      number
    >,
  };
}

/** All of them together. */
export function sumOf(all: readonly WorkerCounters[]): WorkerCounters {
  const sum = createWorkerCounters();
  for (const { deadLettered, ...counts } of all) {
    for (const [name, count] of Object.entries(counts)) sum[name as keyof typeof counts] += count;
    for (const reason of DEAD_LETTER_REASONS) sum.deadLettered[reason] += deadLettered[reason];
  }
  return sum;
}

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
