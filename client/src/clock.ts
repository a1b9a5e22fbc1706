import { isOffset } from "./segment.ts";

/**
 * The server's time, from a device's clock that may be wrong and may jump.
 *
 * The server knows a view by (user, post, viewedAt). So a view's time must be the same however often it is sent; and the
 * server moves a request's times itself, to the minute, where `sentAt` is more than 5 minutes from its own clock. Hence
 * two kinds of times:
 *
 * - **corrected** (frame null): written down while the difference between the clocks was known. Final. `sentAt` goes
 *   along in corrected time; where the clock may have jumped since, it is left out, and then nothing is moved.
 * - **provisional** (frame: the milliseconds that were added): written down before this run's first answer, or after
 *   a jump. It is sent with a `sentAt` that had the same milliseconds added, so that the server's own correction is right.
 *   If the first answer comes before the view was ever sent, the view is corrected, once.
 */
export interface ServerClock {
  /** In which frame an instant that is read now is to be written down: null, or the provisional milliseconds. */
  frame(): number | null;
  /** What is added to the device's clock. */
  offsetMs(): number;
  /** `sentAt` for views of this frame, by now; null: leave it out. */
  sentAtMs(frame: number | null): number | null;
  /** Begins with what an earlier run learned: better than nothing, until the first answer. */
  assume(offsetMs: number): void;
  /** Starts to measure a request. The answer takes the `receivedAt` that came back; true if the offset was changed by it. */
  measure(): (receivedAtMs: number) => boolean;
}

/**
 * The device's two clocks may disagree by so much between two looks before it counts as a jump. Both a changed clock and a
 * sleep in which the monotonic clock stands still do that, and the next answer tells which it was. Far under the 5 minutes
 * from which the server corrects, far over what clocks drift.
 */
const JUMP_MS = 60_000;
/** An offset that differs by less is the noise of a mobile round trip; it is not worth times that wobble. */
const NOISE_MS = 5_000;

export function createServerClock(device: { wallMs(): number; monotonicMs(): number }): ServerClock {
  let offsetMs = 0;
  let learned = false;
  let confirmed = false;
  let gapMs = device.wallMs() - device.monotonicMs();

  function watch(): void {
    const nowMs = device.wallMs() - device.monotonicMs();
    if (Math.abs(nowMs - gapMs) > JUMP_MS) confirmed = false;
    gapMs = nowMs;
  }

  return {
    offsetMs: () => offsetMs,
    frame() {
      watch();
      return confirmed ? null : offsetMs;
    },
    sentAtMs(frame) {
      watch();
      if (frame !== null) return device.wallMs() + frame;
      return confirmed ? device.wallMs() + offsetMs : null;
    },
    assume(knownMs) {
      if (!confirmed && isOffset(knownMs)) offsetMs = knownMs;
    },
    measure() {
      watch();
      const startMs = device.wallMs();
      const startGapMs = gapMs;
      return (receivedAtMs) => {
        watch();
        // The clock jumped, or the device slept, between the question and the answer: this one says nothing.
        if (Math.abs(gapMs - startGapMs) > JUMP_MS) return false;
        const measuredMs = Math.round(receivedAtMs - (startMs + device.wallMs()) / 2);
        if (!isOffset(measuredMs)) return false;
        const changed = !learned || Math.abs(measuredMs - offsetMs) > NOISE_MS;
        if (changed) offsetMs = measuredMs;
        learned = true;
        confirmed = true;
        return changed;
      };
    },
  };
}
