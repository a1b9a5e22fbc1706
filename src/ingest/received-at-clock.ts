import type { WallClock } from "../domain/time.ts";

/** Stamps receivedAt. */
export interface ReceivedAtClock {
  /** Epoch microseconds, strictly greater than every earlier answer of this process. */
  nextUs(): number;
}

/**
 * Two mutations of one process never share a receivedAt, even in one millisecond or when the host's clock steps back: then
 * it creeps on from the greatest instant that it gave, until the clock has caught up.
 */
export function createReceivedAtClock(clock: WallClock): ReceivedAtClock {
  let lastUs = 0;
  return {
    nextUs() {
      lastUs = Math.max(lastUs + 1, Math.floor(clock.nowMs() * 1_000));
      return lastUs;
    },
  };
}
