import { CLOCK_STEP_MS_MAX } from "../domain/guarded-clock.ts";
import type { WallClock } from "../domain/time.ts";
import { ClockUncertainError } from "./errors.ts";

/** Further ahead of the clock receivedAt does not run: what it dates would be judged, and erased, by that. */
const AHEAD_US_MAX = CLOCK_STEP_MS_MAX * 1_000;

/** Stamps receivedAt. */
export interface ReceivedAtClock {
  /**
   * Epoch microseconds: the first of so many (1 unless given) that no other answer of this process holds, all of them
   * greater than the earlier ones, unless the clock was set back by more than a minute.
   *
   * @throws ClockUncertainError the host's clock has jumped, or was never set: what is stamped now may be dated anywhere.
   */
  nextUs(count?: number): number;
}

/**
 * Two mutations of one process never share a receivedAt, even in one millisecond or when the host's clock steps back a
 * little: then it creeps on from the greatest instant that it gave, until the clock has caught up.
 */
export function createReceivedAtClock(clock: WallClock): ReceivedAtClock {
  let freeFromUs = 0;
  return {
    nextUs(count = 1) {
      const nowUs = Math.floor(clock.nowMs() * 1_000);
      if (clock.isCertain?.() === false) throw new ClockUncertainError();
      const firstUs = freeFromUs > nowUs + AHEAD_US_MAX ? nowUs : Math.max(freeFromUs, nowUs);
      freeFromUs = firstUs + count;
      return firstUs;
    },
  };
}
