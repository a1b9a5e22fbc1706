import { exponentialDelayMs, within } from "../common/waiting.ts";
import { StoreUnavailableError } from "../ports/errors.ts";

/** How long a write is retried while its messages are in flight; after that they are nacked. */
const RETRIED_MS_MAX = 20_000;
const BACKOFF = { minMs: 100, maxMs: 5_000 };
const NAK_DELAY = { minMs: 5_000, maxMs: 300_000 };

/** What follows a failed write. RETRY: the same write again, soon. NAK: the queue delivers its messages again later. */
export type RetryDecision = "RETRY" | "NAK";

/**
 * Pure: a failed write is retried and then nacked, as often as it takes. (Rows that the store refuses for what they are did not
 * fail: they are dead-lettered, see `commit-groups.ts`.)
 *
 * @param triedMs since the write was first asked for.
 * @param storeIsDown whether the breaker is open: further tries would only add load.
 */
export function retryDecisionOf(triedMs: number, storeIsDown: boolean): RetryDecision {
  return isOverdue(triedMs) || storeIsDown ? "NAK" : "RETRY";
}

export function isOverdue(triedMs: number): boolean {
  return triedMs >= RETRIED_MS_MAX;
}

/** Exponential with full jitter: 0 to 100 ms after the first failure, 0 to 5 s at most. */
export function backoffMs(attempt: number, random: number): number {
  return exponentialDelayMs(attempt, BACKOFF) * random;
}

/**
 * How long a nacked message stays away: 5 s, doubling with each delivery up to 5 minutes. The caller adds the jitter.
 *
 * @param deliveries how often it has been delivered.
 */
export function nakDelayMs(deliveries: number): number {
  return exponentialDelayMs(deliveries, NAK_DELAY);
}

/**
 * Waits for a store write, but not for ever: one that is never answered must not keep its slot, its queue and its
 * messages.
 *
 * @throws StoreUnavailableError it has not ended in time; it may still be carried out.
 */
export function writeWithin(timeoutMs: number, write: () => Promise<void>): Promise<void> {
  return within(timeoutMs, write(), () => {
    throw new StoreUnavailableError(`no answer to a write within ${timeoutMs} ms`);
  });
}
