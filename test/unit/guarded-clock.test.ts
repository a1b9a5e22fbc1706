import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { watchClock } from "../../src/app/clock-watch.ts";
import {
  CLOCK_CONFIRM_MS,
  CLOCK_SETTLE_MS,
  CLOCK_STEP_MS_MAX,
  createExpiryClock,
  createGuardedClock,
} from "../../src/domain/guarded-clock.ts";
import { DAY_MS } from "../../src/domain/time.ts";
import { ClockUncertainError } from "../../src/ingest/errors.ts";
import { createReceivedAtClock } from "../../src/ingest/received-at-clock.ts";
import type { Logger } from "../../src/telemetry/logger.ts";

const START_MS = 1_790_000_000_000;
const SECOND_MS = 1_000;

/** A host: true time passes on both clocks, and the wall clock is `errorMs` off. */
function createHost() {
  let passedMs = 0;
  const host = {
    errorMs: 0,
    trueMs: () => START_MS + passedMs,
    nowMs: () => Math.floor(START_MS + passedMs + host.errorMs),
    monotonicMs: () => 777.25 + passedMs,
    /** Lets time pass and asks `clock` each second, as the service does. */
    pass(durationMs: number, clock: { nowMs(): number }) {
      for (let leftMs = durationMs; leftMs > 0; leftMs -= SECOND_MS) {
        passedMs += Math.min(leftMs, SECOND_MS);
        clock.nowMs();
      }
    },
  };
  return host;
}

describe("a guarded clock", () => {
  test.each([CLOCK_STEP_MS_MAX, -CLOCK_STEP_MS_MAX, 500, -3])("follows a step of %d ms at once", (stepMs) => {
    const host = createHost();
    const clock = createGuardedClock(host);
    host.errorMs = stepMs;
    expect(clock.nowMs()).toBe(host.nowMs());
    expect(clock.isCertain()).toBe(true);
  });

  test("dates nothing by a clock that was never set, until it is set and was believed", () => {
    const host = createHost();
    host.errorMs = -START_MS;
    const clock = createGuardedClock(host);
    const logger = { warn: vi.fn(), error: vi.fn() };
    const watch = watchClock(clock, logger as unknown as Logger);
    const receivedAt = createReceivedAtClock(clock);
    host.pass(10 * SECOND_MS, clock);
    expect(() => receivedAt.nextUs()).toThrow(ClockUncertainError);
    expect(watch.health()).toEqual({ healthy: false, reason: expect.stringContaining("shows 1970-01-01T") });
    expect(logger.error).toHaveBeenCalledTimes(1);
    host.errorMs = 0;
    expect(() => receivedAt.nextUs()).toThrow(ClockUncertainError);
    host.pass(CLOCK_CONFIRM_MS + SECOND_MS, clock);
    expect(receivedAt.nextUs()).toBe(host.nowMs() * 1_000);
    expect(watch.health()).toEqual({ healthy: true });
    watch.stop();
  });

  test.each([100 * DAY_MS, -100 * DAY_MS, CLOCK_STEP_MS_MAX + 1_000])(
    "does not follow a jump of %d ms that is taken back, and tells it",
    (jumpMs) => {
      const host = createHost();
      const clock = createGuardedClock(host);
      host.pass(10_000, clock);
      host.errorMs = jumpMs;
      expect(Math.abs(clock.nowMs() - host.trueMs())).toBeLessThanOrEqual(1);
      expect(clock.isCertain()).toBe(false);
      expect(clock.state()).toEqual({ jumpMs, jumps: 1, lastJumpMs: jumpMs });
      host.pass(CLOCK_CONFIRM_MS - 1, clock);
      expect(clock.isCertain()).toBe(false);
      host.errorMs = 0;
      expect(clock.nowMs()).toBe(host.nowMs());
      expect(clock.state()).toEqual({ jumpMs: 0, jumps: 1, lastJumpMs: jumpMs });
    },
  );

  test("believes a clock that has gone evenly after its jump, and counts anew where it jumps again", () => {
    const host = createHost();
    const clock = createGuardedClock(host);
    host.errorMs = -2 * DAY_MS;
    host.pass(CLOCK_CONFIRM_MS - SECOND_MS, clock);
    host.errorMs = 2 * DAY_MS;
    host.pass(CLOCK_CONFIRM_MS, clock);
    expect(clock.isCertain()).toBe(false);
    host.pass(SECOND_MS, clock);
    expect(clock.isCertain()).toBe(true);
    expect(clock.nowMs()).toBe(host.nowMs());
    expect(clock.state()).toEqual({ jumpMs: 0, jumps: 2, lastJumpMs: 2 * DAY_MS });
  });

  test("goes evenly whatever the host's clock does for less than the time that makes it believed", () => {
    const errors = fc.array(
      fc.record({
        errorMs: fc.integer({ min: -200 * DAY_MS, max: 200 * DAY_MS }),
        seconds: fc.integer({ min: 1, max: 59 }),
      }),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(errors, (glitches) => {
        const host = createHost();
        const clock = createGuardedClock(host);
        let lastMs = clock.nowMs();
        for (const { errorMs, seconds } of glitches) {
          host.errorMs = errorMs;
          host.pass(seconds * SECOND_MS, clock);
          host.errorMs = 0;
          host.pass(SECOND_MS, clock);
          const nowMs = clock.nowMs();
          expect(Math.abs(nowMs - host.trueMs())).toBeLessThanOrEqual(1);
          expect(nowMs).toBeGreaterThanOrEqual(lastMs);
          lastMs = nowMs;
        }
      }),
    );
  });
});

describe("the clock of what is over", () => {
  test("is settled after an hour of even clocks, and an hour after a jump", () => {
    const host = createHost();
    const expiry = createExpiryClock(host);
    expect(expiry.isSettled()).toBe(false);
    host.pass(CLOCK_SETTLE_MS - SECOND_MS, expiry);
    expect(expiry.isSettled()).toBe(false);
    host.pass(SECOND_MS, expiry);
    expect(expiry.isSettled()).toBe(true);

    host.errorMs = 100 * DAY_MS;
    host.pass(SECOND_MS, expiry);
    expect(expiry.isSettled()).toBe(false);
    host.errorMs = 0;
    host.pass(CLOCK_SETTLE_MS - SECOND_MS, expiry);
    expect(expiry.isSettled()).toBe(false);
    host.pass(2 * SECOND_MS, expiry);
    expect(expiry.isSettled()).toBe(true);
  });

  test("is behind a clock that jumped ahead for an hour, and goes back with one that is set back", () => {
    const host = createHost();
    const expiry = createExpiryClock(host);
    host.errorMs = 100 * DAY_MS;
    host.pass(CLOCK_SETTLE_MS - SECOND_MS, expiry);
    expect(Math.abs(expiry.nowMs() - host.trueMs())).toBeLessThanOrEqual(1);
    host.pass(2 * SECOND_MS, expiry);
    expect(expiry.nowMs()).toBe(host.nowMs());
    host.errorMs = -DAY_MS;
    expect(expiry.nowMs()).toBe(host.nowMs());
  });
});
