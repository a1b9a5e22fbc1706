import { flushAfterMs } from "../domain/pressure.ts";
import type { ImpressionQueue } from "../ports/impression-queue.ts";

/** How old the gauge's knowledge of the queue's bytes may be. */
const REFRESH_INTERVAL_MS = 1_000;

/** Knows how full the chain behind the API is, without asking the queue on every mutation. */
export interface PressureGauge {
  /** When a client should send next; see domain/pressure. */
  flushAfterMs(): number;
  stop(): void;
}

export function startPressureGauge(deps: {
  readonly queue: ImpressionQueue;
  /** The used shares (0 to 1) of the limits in front of the queue. */
  readonly usedShares: () => readonly number[];
  readonly random: () => number;
}): PressureGauge {
  let queueShare = 0;
  const refresh = async () => {
    try {
      const { bytes, limitBytes } = await deps.queue.stats();
      queueShare = bytes / limitBytes;
    } catch {
      // A queue that cannot be asked says so on the next publish; the last known share stands until then.
    }
  };
  const timer = setInterval(() => void refresh(), REFRESH_INTERVAL_MS);
  void refresh();
  return {
    flushAfterMs: () => flushAfterMs([queueShare, ...deps.usedShares()], deps.random()),
    stop: () => clearInterval(timer),
  };
}
