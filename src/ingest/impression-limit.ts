import type { Clock } from "../domain/time.ts";
import { RateLimitedError } from "./errors.ts";

/** 100 bytes each. Beyond it those that were not heard of late are forgotten, and may send a minute's worth anew. */
export const SENDERS_MAX = 100_000;
const WINDOW_MS = 60_000;
/** Times are fractions, and their sums are rounded: without it one list in five that just fills the minute is refused. */
const ROUNDING_MS = 0.001;

/** How many impressions a sender may record. */
export interface ImpressionLimit {
  /**
   * Keeps room for a list until it is known whether it was enqueued: what the queue refuses costs its sender nothing, and what is
   * under way at the same time cannot pass by one room.
   *
   * @param sender who they are counted for. @throws RateLimitedError it has sent too many; these don't count.
   */
  reserve(sender: string, impressions: number): Reservation;
}

/** One of the two is to be called, once; what is called later does nothing. */
export interface Reservation {
  /** They were enqueued, and count from now on. */
  use(): void;
  giveBack(): void;
}

/** @param perMinute 0: nobody is limited, and there is none. */
export function openImpressionLimit(
  perMinute: number,
  clock: Pick<Clock, "monotonicMs">,
): ImpressionLimit | null {
  return perMinute === 0 ? null : createImpressionLimit(perMinute, clock);
}

/**
 * So many impressions in a minute, all at once or spread over it: the generic cell rate algorithm, as a leaky bucket that
 * holds a minute's worth. One number a sender says when its bucket will be empty.
 *
 * @param perMinute at least as many as one list may hold, or such a list would never pass.
 */
function createImpressionLimit(
  perMinute: number,
  { monotonicMs }: Pick<Clock, "monotonicMs">,
): ImpressionLimit {
  const eachMs = WINDOW_MS / perMinute;
  // In two ages, so that who is silent is forgotten without a look at anybody: to find the oldest of one map, its deleted
  // entries are passed over, which took 70 to 130 us a list with 20,000 senders and more (measured).
  let emptyAtMs = new Map<string, number>();
  let olderEmptyAtMs = new Map<string, number>();
  let sinceMs = monotonicMs();
  // Of lists that wait for the queue, so no more than PENDING_MUTATIONS_MAX. They don't leak: what is counted late is never too much.
  const reserved = new Map<string, number>();

  /** A bucket is empty after a minute: who was not heard for so long need not be remembered. */
  function forget(nowMs: number): void {
    if (nowMs - sinceMs < WINDOW_MS && emptyAtMs.size < SENDERS_MAX / 2) return;
    olderEmptyAtMs = emptyAtMs;
    emptyAtMs = new Map();
    sinceMs = nowMs;
  }

  function count(sender: string, impressions: number): void {
    const nowMs = monotonicMs();
    const filledUntilMs = Math.max(lastMs(sender), nowMs) + impressions * eachMs;
    if (!emptyAtMs.has(sender)) forget(nowMs);
    emptyAtMs.set(sender, filledUntilMs);
  }

  const lastMs = (sender: string) => emptyAtMs.get(sender) ?? olderEmptyAtMs.get(sender) ?? 0;

  return {
    reserve(sender, impressions) {
      const nowMs = monotonicMs();
      const held = (reserved.get(sender) ?? 0) + impressions;
      const overMs = Math.max(lastMs(sender) - nowMs, 0) + held * eachMs - WINDOW_MS - ROUNDING_MS;
      if (overMs > 0) throw new RateLimitedError(Math.ceil(overMs));
      reserved.set(sender, held);
      let isSettled = false;
      function settle(isUsed: boolean): void {
        if (isSettled) return;
        isSettled = true;
        const left = (reserved.get(sender) ?? 0) - impressions;
        if (left > 0) reserved.set(sender, left);
        else reserved.delete(sender);
        if (isUsed) count(sender, impressions);
      }
      return { use: () => settle(true), giveBack: () => settle(false) };
    },
  };
}
