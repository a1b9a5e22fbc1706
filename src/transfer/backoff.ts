import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../domain/time.ts";

/** How long a queue that takes nothing, or workers that ack nothing, are waited for before a transfer gives up. */
export const STALL_MS_MAX = 10 * 60_000;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 5_000;

/** Tells a slow engine from one where nothing goes forward at all. */
export interface StallWatch {
  /** Something went forward. */
  progressed(): void;
  /** Something did not. */
  stuck(): void;
  /** Whether nothing has gone forward for too long since it first got stuck. */
  isOver(): boolean;
  readonly stallSeconds: number;
}

export function createStallWatch(stallMsMax: number, { monotonicMs }: Clock): StallWatch {
  let stuckSinceMs: number | null = null;
  return {
    stallSeconds: Math.round(stallMsMax / 1_000),
    progressed() {
      stuckSinceMs = null;
    },
    stuck() {
      stuckSinceMs ??= monotonicMs();
    },
    isOver: () => stuckSinceMs !== null && monotonicMs() - stuckSinceMs > stallMsMax,
  };
}

/** The waits between tries: each twice as long as the one before, jittered so that waiters do not come together. */
export interface Backoff {
  wait(signal: AbortSignal): Promise<void>;
  reset(): void;
}

/** @param longestWaitMs the waits grow up to this. */
export function createBackoff(longestWaitMs: number = LONGEST_WAIT_MS): Backoff {
  let waitMs = FIRST_WAIT_MS;
  return {
    async wait(signal) {
      const jitteredMs = waitMs * (0.5 + Math.random() / 2);
      waitMs = Math.min(2 * waitMs, longestWaitMs);
      await sleep(jitteredMs, undefined, { signal });
    },
    reset() {
      waitMs = FIRST_WAIT_MS;
    },
  };
}
