import { CLOCK_TOLERANCE_MS } from "./limits.ts";

export const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;

/** What time it is. */
export interface WallClock {
  /** Epoch milliseconds. May jump, also backwards: for what is stored or shown. */
  readonly nowMs: () => number;
  /** False while that is unknown (see guarded-clock.ts); left out: it is certain. */
  readonly isCertain?: () => boolean;
}

/** Where all time comes from: command-line.ts hands the system's to the composition root; tests pass their own. */
export interface Clock extends WallClock {
  /** Milliseconds since some instant; never goes back: for how long something took, and for deadlines. */
  readonly monotonicMs: () => number;
}

/** The only place that asks the machine; a lint rule holds it. */
export const systemClock: Clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };

/** Whole milliseconds of a receivedAt in microseconds. */
export function microsToMillis(micros: number): number {
  return Math.floor(micros / 1_000);
}

/** This service did not exist before: a clock that shows less, a sender's or our host's, was never set. */
export const CLOCK_SET_MS_MIN: number = Date.UTC(2025, 0, 1);

/**
 * How far every viewedAt of a list is moved because its sender's clock is certainly wrong: more than 5 minutes ahead of
 * ours, or never set. Then it is the difference, to the nearest minute, so that a resend a moment later is nearly always
 * moved by the same amount. Otherwise 0: a clock that is behind and a delivery that took its time look alike, and a view
 * whose time followed the delivery would be another view each time that the same bytes arrive (ADR 45).
 *
 * @param sentAtMs null: the sender did not say.
 */
export function clockShiftMs(receivedAtMs: number, sentAtMs: number | null): number {
  if (sentAtMs === null) return 0;
  const isWrong = sentAtMs > receivedAtMs + CLOCK_TOLERANCE_MS || sentAtMs < CLOCK_SET_MS_MIN;
  return isWrong ? Math.round((receivedAtMs - sentAtMs) / MINUTE_MS) * MINUTE_MS : 0;
}

/** A half-open stretch of viewedAt: sinceMs <= viewedAtMs < untilMs. */
export interface Window {
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** The window of a walk, cut to what the retention still covers. (`unseenPosts` cuts its own: it has no end.) */
export function clampWindow(
  asked: { sinceMs: number | null; untilMs: number | null },
  nowMs: number,
  retentionMs: number,
): Window {
  const oldestMs = nowMs - retentionMs;
  return {
    sinceMs: Math.max(asked.sinceMs ?? oldestMs, oldestMs),
    untilMs: asked.untilMs ?? Number.MAX_SAFE_INTEGER,
  };
}
