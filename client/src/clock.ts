/**
 * The server's time, from a device's clock that may be wrong and may be set while views wait.
 *
 * The server knows a view by (user, post, viewedAt), so a view's time must be the same however often it is sent. Hence two
 * kinds of times:
 *
 * - **corrected** (frame null): the difference between the clocks was known. Final, and sent without `sentAt`, so that
 *   nothing moves them, however late they arrive.
 * - **provisional** (frame: the milliseconds that were added): no answer was heard yet, or the wall clock has leapt ahead
 *   since. Until they are on the wire they are corrected by what becomes known; then they are final too, and sent with
 *   a `sentAt` in the same frame: the server moves the times of a clock that is more than 5 minutes ahead.
 *
 * A run is cut into **epochs** in which wall clock and monotonic clock went together. Where they part, the clock was set or
 * the device slept (the monotonic clock may stand still then). Backwards it can only have been set. Forwards it counts as
 * sleep, unless that contradicts what was known before: then it was set.
 */
export interface ServerClock {
  /** How an instant of the device's clock is to be written down. */
  stamp(atMs: number): Stamp;
  /** Whether times that are written down now are corrected ones. */
  isSure(): boolean;
  /** What becomes of times that were never sent, by what is known now. */
  correction(times: Framed & { readonly newestMs: number }): Correction;
  /** `sentAt` for these times, by now; null: leave it out. */
  sentAtMs(times: Framed): number | null;
  /** Whether anything is known of the difference between the clocks. */
  isKnown(): boolean;
  /** Begins with what an earlier run saved: better than nothing, until the first answer. Ignores what is damaged. */
  assume(saved: string): void;
  /** For the next run. */
  save(): string;
  /** Starts to measure a request. The answer takes the `receivedAt` that came back; true if there is something to save. */
  measure(): (receivedAtMs: number) => boolean;
}

export interface Stamp extends Framed {
  readonly viewedAtMs: number;
}

/** How times were written down. */
export interface Framed {
  readonly frame: number | null;
  /** Undefined: in an earlier run. */
  readonly epoch?: Epoch | undefined;
}

export interface Correction extends Framed {
  /** To be added. */
  readonly byMs: number;
}

/** A stretch of a run in which the device's two clocks went together. */
export interface Epoch {
  /** Wall clock minus monotonic clock. */
  readonly gapMs: number;
  /** When it was noticed, on the monotonic clock. */
  readonly fromMs: number;
  /** From the wall clock to the server's, as far as was known then. */
  offsetMs: number;
  /** The server has told it, or would tell the same again. */
  sure: boolean;
}

const MINUTE_MS = 60_000;
/** Far over what clocks drift, far under the 5 minutes from which it matters to the server. */
const JUMP_MS: number = MINUTE_MS;
/** An offset that differs by less is the noise of a mobile round trip; it is not worth times that wobble. */
const NOISE_MS = 5_000;
/** What the server lets a clock be wrong by: for less nothing of an earlier run is corrected, since nothing forces it. */
const TOLERANCE_MS = 300_000;
/** Sleeps and settings of a run that are remembered; what is older counts as recorded in the oldest of them. */
const EPOCHS_MAX = 100;
/** 100 years. A clock that is further off is a damaged number: a device that thinks it is 1970 is off by less. */
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
      // A clock that is set wrong is set right again: then all is as it was before.
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

  /** Backwards from now, over each parting of the clocks: the offset then, and for how long the device counts as asleep since. */
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

  /** In which epoch the wall clock showed this, where more than one has seen a clock. */
  function epochOf(atMs: number): Epoch {
    let endMs = device.monotonicMs() + NOISE_MS;
    for (const candidate of [...epochs].reverse()) {
      // It began before it was noticed.
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
        // The server moves nothing of a clock that is behind: this is right whether the clock was set or the device slept.
        return { byMs: offsetMs - frame, frame: now.sure ? null : now.offsetMs - sleptMs, epoch: now };
      }
      // The monotonic clock of an earlier run is lost. The clock counts as not set since then, unless the views would
      // lie in the future: they are from before this run. To the minute, so that the run after this one, where the storage
      // takes no writes, corrects them by as much.
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
      // Time does not run backwards: the clock was set back since, by this at least.
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
        // Where the clocks parted between the question and the answer, this one says nothing.
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

/** Whether this can be what a device's clock is off by, in milliseconds. */
export function isOffset(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= OFFSET_MS_MAX;
}
