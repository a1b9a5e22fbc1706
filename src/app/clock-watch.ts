import { CLOCK_CONFIRM_MS, type GuardedClock } from "../domain/guarded-clock.ts";
import type { Health } from "../ports/impression-queue.ts";
import type { Logger } from "../telemetry/logger.ts";

const LOOK_INTERVAL_MS = 1_000;

/** Looks at the host's clock every second, as a guarded clock wants it, and reports jumps in the log and on /readyz. */
export interface ClockWatch {
  health(): Health;
  stop(): void;
}

export function watchClock(clock: GuardedClock, logger: Logger): ClockWatch {
  if (!clock.isCertain())
    logger.error(
      { time: timeOf(clock) },
      "the host's clock was never set: nothing new is dated by it, and impressions are refused, until it is",
    );
  const logged = { jumps: clock.state().jumps, jumpMs: 0 };

  function look(): void {
    const { jumpMs, jumps, lastJumpMs } = clock.state();
    if (jumps > logged.jumps) {
      logger.error(
        { jumpSeconds: lastJumpMs / 1_000 },
        "the host's clock has jumped: nothing new is dated by it, and impressions are refused, until it is back or has " +
          `gone evenly for ${CLOCK_CONFIRM_MS / 1_000} s`,
      );
    }
    if (jumpMs === 0 && (logged.jumpMs !== 0 || jumps > logged.jumps)) {
      logger.warn({ clock: timeOf(clock) }, "the clock is certain again");
    }
    logged.jumps = jumps;
    logged.jumpMs = jumpMs;
  }

  const timer = setInterval(look, LOOK_INTERVAL_MS);
  timer.unref();
  return {
    health() {
      const seconds = Math.round(clock.state().jumpMs / 1_000);
      if (seconds === 0) {
        if (clock.isCertain()) return { healthy: true };
        const reason = `the host's clock was never set, it shows ${timeOf(clock)}: impressions are refused until it is`;
        return { healthy: false, reason };
      }
      const direction = seconds > 0 ? "ahead" : "back";
      return {
        healthy: false,
        reason: `the host's clock has jumped ${direction} by ${Math.abs(seconds)} s: impressions are refused until it is back or has gone evenly for ${CLOCK_CONFIRM_MS / 1_000} s`,
      };
    },
    stop: () => clearInterval(timer),
  };
}

function timeOf(clock: GuardedClock): string {
  return new Date(clock.nowMs()).toISOString();
}
