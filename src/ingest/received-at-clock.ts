import type { WallClock } from "../domain/time.ts";

/** Stamps receivedAt. */
export interface ReceivedAtClock {
  /**
   * Epoch microseconds: the first of so many (1 unless given) that no other answer of this process holds, all of them
   * greater than the earlier ones.
   */
  nextUs(count?: number): number;
}

/**
 * Two mutations of one process never share a receivedAt, even in one millisecond or when the host's clock steps back: then
 * it creeps on from the greatest instant that it gave, until the clock has caught up.
 */
export function createReceivedAtClock(clock: WallClock): ReceivedAtClock {
  let freeFromUs = 0;
  return {
    nextUs(count = 1) {
      const firstUs = Math.max(freeFromUs, Math.floor(clock.nowMs() * 1_000));
      freeFromUs = firstUs + count;
      return firstUs;
    },
  };
}
