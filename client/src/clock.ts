/**
 * Estimates the server's time from a device's clock that may be wrong and may be set while views wait.
 *
 * The server identifies a view by (user, post, viewedAt), so a view's time must be the same in every delivery. Hence two
 * kinds of times:
 *
 * - **corrected** (frame null): recorded when the difference between the clocks was known. They are final, and sent without
 *   `sentAt`, so that the server moves none of them, however late they arrive.
 * - **provisional** (frame: the milliseconds that were added): recorded before the first answer, or after the wall clock had
 *   leapt ahead. The SDK corrects them until it sends them. Then they are final, too, and go with a `sentAt` in the same
 *   frame: the server moves the times of a clock that is more than 5 minutes ahead.
 *
 * A run consists of **epochs**, in which the wall clock and the monotonic clock advance together. A step between the two
 * means that the clock was set or the device slept (the monotonic clock may stand still then). A step backwards is a setting.
 * A step forwards counts as sleep, unless that contradicts an offset that was known before; then it is a setting.
 */
export interface ServerClock {
  /** The time to record for an instant of the device's clock. */
  stamp(atMs: number): Stamp;
  /** Whether times that are recorded now are corrected ones. */
  isSure(): boolean;
  /** The correction of times that were never sent, by the present knowledge of the clock. */
  correction(times: Framed & { readonly newestMs: number }): Correction;
  /** The `sentAt` of a request with these times; null: none. */
  sentAtMs(times: Framed): number | null;
  /** Whether the difference between the clocks is known, from an answer or an earlier run. */
  isKnown(): boolean;
  /** Takes the offset that an earlier run saved, until the first answer. Ignores a damaged one. */
  assume(saved: string): void;
  /** The offset as text, for the next run. */
  save(): string;
  /** Call it before a request. The returned function takes the answer's `receivedAt`, and returns true if the offset changed. */
  measure(): (receivedAtMs: number) => boolean;
}

export interface Stamp extends Framed {
  readonly viewedAtMs: number;
}

/** The clock that times were recorded by. */
export interface Framed {
  readonly frame: number | null;
  /** Undefined: in an earlier run. */
  readonly epoch?: Epoch | undefined;
}

export interface Correction extends Framed {
  /** Milliseconds to add. */
  readonly byMs: number;
}

/** A part of a run in which the device's two clocks advance together. */
export interface Epoch {
  /** Wall clock minus monotonic clock. */
  readonly gapMs: number;
  /** When it was detected, on the monotonic clock. */
  readonly fromMs: number;
  /** The server's clock minus the wall clock, as far as known. */
  offsetMs: number;
  /** The offset comes from an answer, or from an earlier epoch with the same clock. */
  sure: boolean;
}

const MINUTE_MS = 60_000;
/** A larger step is a setting or a sleep: far more than clocks drift, far less than the 5 minutes that the server tolerates. */
const JUMP_MS: number = MINUTE_MS;
/** A smaller change of the offset is the noise of a mobile round trip, and is ignored to keep times steady. */
const NOISE_MS = 5_000;
/** The server tolerates this error of a clock. Views of an earlier run are corrected only if theirs was larger. */
const TOLERANCE_MS = 300_000;
/** Epochs of a run that are remembered. Older views count as recorded in the oldest of them. */
const EPOCHS_MAX = 100;
/** 100 years. A larger offset is a damaged number: a device that shows 1970 is off by less. */
const OFFSET_MS_MAX = 3.2e12;

export function createServerClock(device: { wallMs(): number; monotonicMs(): number }): ServerClock {
  const gapMs = () => Math.round(device.wallMs() - device.monotonicMs());
  const startedAtMs = device.wallMs();
  let latest: Epoch = { gapMs: gapMs(), fromMs: device.monotonicMs(), offsetMs: 0, sure: false };
  let epochs: readonly Epoch[] = [latest];
  let answered = false;
  let known = false;

  function epoch(): Epoch {
    const gap = gapMs();
    const stepMs = gap - latest.gapMs;
    if (Math.abs(stepMs) > JUMP_MS) {
      // A clock that was set wrong and then right again: the earlier epoch's offset holds again.
      let before: Epoch | undefined;
      epochs.forEach((later, index) => {
        const earlier = epochs[index - 1];
        if (isNear(later.gapMs, gap)) before = later;
        else if (earlier !== undefined && isNear(earlier.gapMs - later.gapMs, stepMs)) before = earlier;
      });
      const { offsetMs, sure } = before ?? { offsetMs: latest.offsetMs - Math.min(0, stepMs), sure: false };
      latest = { gapMs: gap, fromMs: device.monotonicMs(), offsetMs, sure };
      epochs = [...epochs, latest].slice(-EPOCHS_MAX);
    }
    return latest;
  }

  /** Walks back over the epochs: the offset of the wanted one, and for how long the device has slept since. */
  function since(wanted: Epoch): { offsetMs: number; sleptMs: number } {
    const now = epoch();
    let later = now;
    let { offsetMs } = now;
    let sleptMs = 0;
    for (const earlier of [...epochs].reverse()) {
      if (later === wanted) break;
      const stepMs = later.gapMs - earlier.gapMs;
      const wasSet = !isNear(offsetMs, earlier.offsetMs) && isNear(offsetMs + stepMs, earlier.offsetMs);
      if (stepMs > 0 && !wasSet) sleptMs += stepMs;
      if (earlier.sure) offsetMs = earlier.offsetMs;
      else if (isNear(earlier.gapMs, now.gapMs)) offsetMs = now.offsetMs;
      else if (stepMs < 0 || wasSet) offsetMs += stepMs;
      if (isNear(earlier.gapMs, now.gapMs)) sleptMs = 0;
      later = earlier;
    }
    return { offsetMs, sleptMs };
  }

  /** The epoch in which the wall clock showed this time; the newest one where several did. */
  function epochOf(atMs: number): Epoch {
    let endMs = device.monotonicMs() + NOISE_MS;
    for (const candidate of [...epochs].reverse()) {
      // An epoch begins before it is detected.
      const beganMs = candidate === epochs[0] ? Number.NEGATIVE_INFINITY : candidate.fromMs - JUMP_MS;
      const onMonotonicMs = atMs - candidate.gapMs;
      if (onMonotonicMs >= beganMs && onMonotonicMs <= endMs) return candidate;
      endMs = candidate.fromMs;
    }
    return latest;
  }

  return {
    isSure: () => epoch().sure,
    stamp(atMs) {
      const { sure } = epoch();
      const seenIn = epochOf(atMs);
      const { offsetMs } = since(seenIn);
      return { viewedAtMs: atMs + offsetMs, frame: sure ? null : offsetMs, epoch: seenIn };
    },
    correction({ frame, epoch: seenIn, newestMs }) {
      const now = epoch();
      if (frame === null) return { byMs: 0, frame, epoch: seenIn };
      if (seenIn !== undefined) {
        const { offsetMs, sleptMs } = since(seenIn);
        // The server moves no times of a clock that is behind, so this is right for a setting and for a sleep.
        return { byMs: offsetMs - frame, frame: now.sure ? null : now.offsetMs - sleptMs, epoch: now };
      }
      // The monotonic clock of an earlier run is lost. The wall clock counts as not set since then, unless the views would
      // lie in the future, though they are older than this run. The correction is rounded to the minute, so that the next
      // run computes the same one if the storage takes no writes.
      let byMs = Math.round((now.offsetMs - frame) / MINUTE_MS) * MINUTE_MS;
      const isFuture = newestMs + byMs > device.wallMs() + now.offsetMs + TOLERANCE_MS;
      if (isFuture) byMs = startedAtMs + now.offsetMs - newestMs;
      else if (!now.sure || Math.abs(byMs) <= TOLERANCE_MS) return { byMs: 0, frame, epoch: seenIn };
      return { byMs, frame: now.sure ? null : now.offsetMs, epoch: now };
    },
    sentAtMs({ frame, epoch: sentIn = epochs[0] ?? latest }) {
      return frame === null ? null : device.wallMs() + frame + epoch().offsetMs - since(sentIn).offsetMs;
    },
    isKnown: () => known,
    assume(saved) {
      const [offsetMs = Number.NaN, atMs = Number.NEGATIVE_INFINITY] = saved.split("@").map(Number);
      if (answered || saved === "" || !isOffset(offsetMs) || Number.isNaN(atMs)) return;
      // The wall clock shows less than at the save: it was set back since, by at least this.
      const setBackMs = Math.max(0, atMs - device.wallMs());
      if (!isOffset(offsetMs + setBackMs)) return;
      known = setBackMs <= JUMP_MS;
      for (const begun of epochs) begun.offsetMs += offsetMs + (known ? 0 : setBackMs);
    },
    save: () => `${latest.offsetMs}@${device.wallMs()}`,
    measure() {
      const asked = epoch();
      const startMs = device.wallMs();
      return (receivedAtMs) => {
        const measuredMs = Math.round(receivedAtMs - (startMs + device.wallMs()) / 2);
        // After a step of the clock between request and answer the measurement is void.
        if (epoch() !== asked || !isOffset(measuredMs)) return false;
        const changed = !answered || Math.abs(measuredMs - asked.offsetMs) > NOISE_MS;
        if (changed) asked.offsetMs = measuredMs;
        asked.sure = true;
        answered = true;
        known = true;
        return changed;
      };
    },
  };
}

function isNear(oneMs: number, otherMs: number): boolean {
  return Math.abs(oneMs - otherMs) <= JUMP_MS;
}

/** Whether this is a possible offset of a device's clock, in milliseconds. */
export function isOffset(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= OFFSET_MS_MAX;
}
