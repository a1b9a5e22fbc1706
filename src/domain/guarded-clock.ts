import { CLOCK_SET_MS_MIN, type Clock, MINUTE_MS } from "./time.ts";

/** How far the host's clock may step and be followed at once: NTP corrects less, and a view's tolerance is 5 minutes. */
export const CLOCK_STEP_MS_MAX = MINUTE_MS;
/** A clock that jumped further is believed when it has then gone evenly for so long. */
export const CLOCK_CONFIRM_MS = MINUTE_MS;
/** The same, before anything is deleted or passed over because its time is up. */
export const CLOCK_SETTLE_MS = 60 * MINUTE_MS;

/** What a guarded clock thinks of the host's. */
export interface ClockState {
  /** How far the host's clock is ahead (negative: behind) of `nowMs`, which does not follow it yet; 0 while it is believed. */
  readonly jumpMs: number;
  /** Jumps so far. */
  readonly jumps: number;
  /** The last one. */
  readonly lastJumpMs: number;
}

export interface GuardedClock extends Clock {
  /**
   * False while the host's clock has jumped and is neither back nor believed, or was never set, as on a board without a
   * battery before it has heard from NTP: then nothing new should be dated.
   */
  readonly isCertain: () => boolean;
  readonly state: () => ClockState;
}

/**
 * A clock that does not follow the host's wherever it goes. Wall clock and monotonic clock go evenly but for small
 * corrections; when they part by more than CLOCK_STEP_MS_MAX, the clock was set, or the host slept, and which of
 * the two is right is unknown. So `nowMs` goes on evenly from before, until the host's clock is back or has gone evenly
 * for `confirmMs`. It looks when it is asked, so ask it every second.
 */
export function createGuardedClock(host: Clock, confirmMs: number = CLOCK_CONFIRM_MS): GuardedClock {
  /** Wall minus monotonic, as it is believed. */
  let believedMs = host.nowMs() - host.monotonicMs();
  let doubt: { readonly offsetMs: number; readonly sinceMs: number } | null = null;
  let jumps = 0;
  let lastJumpMs = 0;

  /** Looks at both clocks. @returns what `nowMs` says. */
  function look(): number {
    const wallMs = host.nowMs();
    const monotonicMs = host.monotonicMs();
    const offsetMs = wallMs - monotonicMs;
    if (isStep(offsetMs - believedMs)) {
      doubt = null;
    } else if (doubt === null || !isStep(offsetMs - doubt.offsetMs)) {
      doubt = { offsetMs, sinceMs: monotonicMs };
      jumps++;
      lastJumpMs = Math.round(offsetMs - believedMs);
    } else if (monotonicMs - doubt.sinceMs >= confirmMs) {
      doubt = null;
    }
    if (doubt !== null) return Math.floor(monotonicMs + believedMs);
    believedMs = offsetMs;
    return wallMs;
  }

  return {
    nowMs: look,
    monotonicMs: host.monotonicMs,
    isCertain() {
      return look() >= CLOCK_SET_MS_MIN && doubt === null;
    },
    state() {
      look();
      return { jumpMs: doubt === null ? 0 : Math.round(doubt.offsetMs - believedMs), jumps, lastJumpMs };
    },
  };
}

function isStep(differenceMs: number): boolean {
  return Math.abs(differenceMs) <= CLOCK_STEP_MS_MAX;
}

/**
 * The time for what cannot be taken back: what is deleted, or not stored, because its time is up. It is never later than
 * `nowMs`, and follows a clock that jumped ahead after CLOCK_SETTLE_MS only. Late is harmless: every read hides what is over.
 */
export interface ExpiryClock {
  readonly nowMs: () => number;
  /** Whether the clocks have gone evenly for CLOCK_SETTLE_MS, since the process began at the earliest. */
  readonly isSettled: () => boolean;
}

export function createExpiryClock(clock: Clock): ExpiryClock {
  const slow = createGuardedClock(clock, CLOCK_SETTLE_MS);
  let evenSinceMs = clock.monotonicMs();
  let jumps = 0;
  return {
    nowMs: () => Math.min(slow.nowMs(), clock.nowMs()),
    isSettled() {
      const state = slow.state();
      if (state.jumps > jumps) {
        jumps = state.jumps;
        evenSinceMs = clock.monotonicMs();
      }
      return state.jumpMs === 0 && clock.monotonicMs() - evenSinceMs >= CLOCK_SETTLE_MS;
    },
  };
}
