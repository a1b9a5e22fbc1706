import { CLOCK_TOLERANCE_MS } from "./limits.ts";

export const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;

/** What time it is. */
export interface WallClock {
  /** Epoch milliseconds. May jump, also backwards: for what is stored or shown. */
  readonly nowMs: () => number;
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

/**
 * How far every viewedAt of a submission is moved because its sender's clock is wrong: 0 while the clocks agree
 * within 5 minutes or the sender did not say, otherwise the difference rounded to the nearest minute, so that a
 * resend a few seconds later is moved by the same amount and keeps its identity.
 */
export function clockShiftMs(receivedAtMs: number, sentAtMs: number | null): number {
  if (sentAtMs === null) return 0;
  const deltaMs = receivedAtMs - sentAtMs;
  if (Math.abs(deltaMs) <= CLOCK_TOLERANCE_MS) return 0;
  return Math.round(deltaMs / MINUTE_MS) * MINUTE_MS;
}

/** A half-open stretch of viewedAt: sinceMs <= viewedAtMs < untilMs. */
export interface Window {
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** The asked window, cut to what the retention still covers. Every read on every engine goes through this. */
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
