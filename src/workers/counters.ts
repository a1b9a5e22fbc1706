import { DEAD_LETTER_REASONS, type DeadLetterReason } from "../domain/dead-letter.ts";

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
