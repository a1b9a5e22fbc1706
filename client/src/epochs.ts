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

/**
 * A run consists of **epochs**, in which the wall clock and the monotonic clock advance together. A step between the two
 * means that the clock was set or the device slept (the monotonic clock may stand still then). A step backwards is a setting.
 * A step forwards counts as sleep, unless that contradicts an offset that was known before; then it is a setting.
 */
export interface Epochs {
  /** The present epoch. A step between the clocks begins a new one. */
  now(): Epoch;
  /** The oldest remembered epoch. */
  oldest(): Epoch;
  /** The epoch in which the wall clock showed this time; the newest one where several did. */
  at(atMs: number): Epoch;
  /** Walks back over the epochs: the offset of the wanted one, and for how long the device has slept since. */
  since(wanted: Epoch): { readonly offsetMs: number; readonly sleptMs: number };
  /** Adds to the offset of every epoch. */
  shift(byMs: number): void;
}

/** A larger step is a setting or a sleep: far more than clocks drift, far less than the 5 minutes that the server tolerates. */
export const JUMP_MS: number = 60_000;
/** Epochs of a run that are remembered. Older views count as recorded in the oldest of them. */
const EPOCHS_MAX = 100;
/** A time up to this much after the present belongs to the newest epoch. */
const AHEAD_MS = 5_000;

export function createEpochs(device: { wallMs(): number; monotonicMs(): number }): Epochs {
  const gapMs = () => Math.round(device.wallMs() - device.monotonicMs());
  let latest: Epoch = { gapMs: gapMs(), fromMs: device.monotonicMs(), offsetMs: 0, sure: false };
  let epochs: readonly Epoch[] = [latest];

  function now(): Epoch {
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

  function since(wanted: Epoch): { offsetMs: number; sleptMs: number } {
    const present = now();
    let later = present;
    let { offsetMs } = present;
    let sleptMs = 0;
    for (const earlier of [...epochs].reverse()) {
      if (later === wanted) break;
      const stepMs = later.gapMs - earlier.gapMs;
      const wasSet = !isNear(offsetMs, earlier.offsetMs) && isNear(offsetMs + stepMs, earlier.offsetMs);
      if (stepMs > 0 && !wasSet) sleptMs += stepMs;
      if (earlier.sure) offsetMs = earlier.offsetMs;
      else if (isNear(earlier.gapMs, present.gapMs)) offsetMs = present.offsetMs;
      else if (stepMs < 0 || wasSet) offsetMs += stepMs;
      if (isNear(earlier.gapMs, present.gapMs)) sleptMs = 0;
      later = earlier;
    }
    return { offsetMs, sleptMs };
  }

  function at(atMs: number): Epoch {
    let endMs = device.monotonicMs() + AHEAD_MS;
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
    now,
    oldest: () => epochs[0] ?? latest,
    at,
    since,
    shift(byMs) {
      for (const epoch of epochs) epoch.offsetMs += byMs;
    },
  };
}

function isNear(oneMs: number, otherMs: number): boolean {
  return Math.abs(oneMs - otherMs) <= JUMP_MS;
}
