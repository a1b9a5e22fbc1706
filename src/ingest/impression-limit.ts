import type { Clock } from "../domain/time.ts";
import { RateLimitedError } from "./errors.ts";

/** 100 bytes each. Beyond it the sender that was heard longest ago is forgotten, and may send a minute's worth anew. */
export const SENDERS_MAX = 100_000;
const WINDOW_MS = 60_000;

/** How many impressions a sender may record. */
export interface ImpressionLimit {
  /** @param sender who they are counted for. @throws RateLimitedError it has sent too many; these don't count. */
  take(sender: string, impressions: number): void;
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
  /** The sender heard longest ago first. */
  const emptyAtMs = new Map<string, number>();
  return {
    take(sender, impressions) {
      const nowMs = monotonicMs();
      const filledUntilMs = Math.max(emptyAtMs.get(sender) ?? nowMs, nowMs) + impressions * eachMs;
      const overMs = filledUntilMs - nowMs - WINDOW_MS;
      if (overMs > 0) throw new RateLimitedError(Math.ceil(overMs));
      emptyAtMs.delete(sender);
      emptyAtMs.set(sender, filledUntilMs);
      for (const oldest of emptyAtMs.keys()) {
        if (emptyAtMs.size <= SENDERS_MAX) break;
        emptyAtMs.delete(oldest);
      }
    },
  };
}
