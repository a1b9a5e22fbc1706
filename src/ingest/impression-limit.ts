import { type Clock, DAY_MS, MINUTE_MS } from "../domain/time.ts";
import { RateLimitedError } from "./errors.ts";

/**
 * Of each window; 100 bytes each. Beyond it those that were not heard of late are forgotten, and may send a window's worth
 * anew.
 */
export const SENDERS_MAX = 100_000;
/** Of these, so many that have used up more than half of a window and were not heard of late. */
const HEAVY_SENDERS_KEPT_MAX = SENDERS_MAX / 4;
/** Senders without a reservation are forgotten when there are so many in all, or twice as many as have one. */
const RESERVING_SENDERS_MAX = 10_000;
/** Times are fractions, and their sums are rounded: without it one list in five that just fills the window is refused. */
const ROUNDING_MS = 0.001;

/** How many impressions a sender may record. */
export interface ImpressionLimit {
  /**
   * Keeps room for a list until it is known whether it was enqueued: what the queue refuses costs its sender nothing, and what is
   * under way at the same time cannot pass by one room.
   *
   * @param sender the user or address that they count for. @throws RateLimitedError it has sent too many; these don't count.
   */
  reserve(sender: string, impressions: number): Reservation;
}

/** One of the two is to be called, once; what is called later does nothing. */
export interface Reservation {
  /** They were enqueued, and count from now on. */
  use(): void;
  cancel(): void;
}

/** Each 0 for no limit, or at least as many as one list may hold: else such a list would never pass. */
export interface ImpressionLimits {
  readonly perMinute: number;
  readonly perDay: number;
}

/** @returns null where there is no limit. */
export function openImpressionLimit(
  { perMinute, perDay }: ImpressionLimits,
  clock: Pick<Clock, "monotonicMs">,
): ImpressionLimit | null {
  const windows = [
    ...(perMinute === 0 ? [] : [createBuckets(perMinute, MINUTE_MS, clock)]),
    ...(perDay === 0 ? [] : [createBuckets(perDay, DAY_MS, clock)]),
  ];
  return windows.length === 0 ? null : createImpressionLimit(windows);
}

/** A list passes all of the windows, or counts in none. */
function createImpressionLimit(windows: readonly Buckets[]): ImpressionLimit {
  // Of lists that wait for the queue. Nothing leaks: an impression that is counted late never counts as too many. A
  // sender stays with 0 until the map is made anew, since entries that come and go with each request are what a Map is
  // worst at (ADR 51).
  let reserved = new Map<string, number>();
  let sendersMax = RESERVING_SENDERS_MAX;

  function hold(sender: string, impressions: number): void {
    if (reserved.size >= sendersMax && !reserved.has(sender)) {
      reserved = new Map([...reserved].filter(([, held]) => held > 0));
      sendersMax = Math.max(RESERVING_SENDERS_MAX, 2 * reserved.size);
    }
    reserved.set(sender, impressions);
  }

  return {
    reserve(sender, impressions) {
      const held = (reserved.get(sender) ?? 0) + impressions;
      const waitMs = Math.max(...windows.map((buckets) => buckets.waitMs(sender, held)));
      if (waitMs > 0) throw new RateLimitedError(waitMs);
      hold(sender, held);
      let isEnded = false;
      function end(isUsed: boolean): void {
        if (isEnded) return;
        isEnded = true;
        hold(sender, (reserved.get(sender) ?? 0) - impressions);
        if (isUsed) for (const buckets of windows) buckets.add(sender, impressions);
      }
      return { use: () => end(true), cancel: () => end(false) };
    },
  };
}

/** One for each sender. */
interface Buckets {
  /** How long until so many more would pass, in whole milliseconds; 0 where they pass now. */
  waitMs(sender: string, impressions: number): number;
  add(sender: string, impressions: number): void;
}

/**
 * So many impressions in a window, all at once or spread over it: the generic cell rate algorithm, as a leaky bucket that
 * holds a window's worth. One number a sender says when its bucket will be empty.
 */
function createBuckets(
  perWindow: number,
  windowMs: number,
  { monotonicMs }: Pick<Clock, "monotonicMs">,
): Buckets {
  const eachMs = windowMs / perWindow;
  // In two ages, so that silent senders are forgotten without a look at each: to find the oldest of one map, its deleted
  // entries are passed over, which took 70 to 130 us a list with 20,000 senders and more (measured).
  let emptyAtMs = new Map<string, number>();
  let olderEmptyAtMs = new Map<string, number>();
  let sinceMs = monotonicMs();

  /** How long the sender's bucket takes until it is empty. */
  function leftMs(sender: string, nowMs: number): number {
    return Math.max(0, (emptyAtMs.get(sender) ?? olderEmptyAtMs.get(sender) ?? 0) - nowMs);
  }

  /** A bucket is empty after a window: senders that were silent for so long need not be remembered. */
  function forget(nowMs: number): void {
    if (nowMs - sinceMs < windowMs && emptyAtMs.size < SENDERS_MAX / 2) return;
    const kept = heavySenders(nowMs);
    olderEmptyAtMs = emptyAtMs;
    emptyAtMs = kept;
    sinceMs = nowMs;
  }

  /** Senders that a crowd of others must not push out: they would send a window's worth again. */
  function heavySenders(nowMs: number): Map<string, number> {
    const kept = new Map<string, number>();
    for (const [sender, atMs] of olderEmptyAtMs) {
      if (kept.size === HEAVY_SENDERS_KEPT_MAX) break;
      if (atMs - nowMs > windowMs / 2 && !emptyAtMs.has(sender)) kept.set(sender, atMs);
    }
    return kept;
  }

  return {
    waitMs(sender, impressions) {
      const overMs = leftMs(sender, monotonicMs()) + impressions * eachMs - windowMs - ROUNDING_MS;
      return Math.max(0, Math.ceil(overMs));
    },

    add(sender, impressions) {
      const nowMs = monotonicMs();
      const filledUntilMs = nowMs + leftMs(sender, nowMs) + impressions * eachMs;
      if (!emptyAtMs.has(sender)) forget(nowMs);
      emptyAtMs.set(sender, filledUntilMs);
    },
  };
}
