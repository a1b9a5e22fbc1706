import { createEpochs, type Epoch, JUMP_MS } from "./epochs.ts";

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

const MINUTE_MS = 60_000;
/** A smaller change of the offset is the noise of a mobile round trip, and is ignored to keep times steady. */
const NOISE_MS = 5_000;
/** The server tolerates this error of a clock. Views of an earlier run are corrected only if theirs was larger. */
const TOLERANCE_MS = 300_000;
/** 100 years. A larger offset is a damaged number: a device that shows 1970 is off by less. */
const OFFSET_MS_MAX = 3.2e12;

export function createServerClock(device: { wallMs(): number; monotonicMs(): number }): ServerClock {
  const startedAtMs = device.wallMs();
  const epochs = createEpochs(device);
  let answered = false;
  let known = false;

  return {
    isSure: () => epochs.now().sure,
    stamp(atMs) {
      const { sure } = epochs.now();
      const seenIn = epochs.at(atMs);
      const { offsetMs } = epochs.since(seenIn);
      return { viewedAtMs: atMs + offsetMs, frame: sure ? null : offsetMs, epoch: seenIn };
    },
    correction({ frame, epoch: seenIn, newestMs }) {
      const now = epochs.now();
      if (frame === null) return { byMs: 0, frame, epoch: seenIn };
      if (seenIn !== undefined) {
        const { offsetMs, sleptMs } = epochs.since(seenIn);
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
    sentAtMs({ frame, epoch: sentIn = epochs.oldest() }) {
      if (frame === null) return null;
      return device.wallMs() + frame + epochs.now().offsetMs - epochs.since(sentIn).offsetMs;
    },
    isKnown: () => known,
    assume(saved) {
      const [offsetMs = Number.NaN, atMs = Number.NEGATIVE_INFINITY] = saved.split("@").map(Number);
      if (answered || saved === "" || !isOffset(offsetMs) || Number.isNaN(atMs)) return;
      // The wall clock shows less than at the save: it was set back since, by at least this.
      const setBackMs = Math.max(0, atMs - device.wallMs());
      if (!isOffset(offsetMs + setBackMs)) return;
      known = setBackMs <= JUMP_MS;
      epochs.shift(offsetMs + (known ? 0 : setBackMs));
    },
    save: () => `${epochs.now().offsetMs}@${device.wallMs()}`,
    measure() {
      const asked = epochs.now();
      const startMs = device.wallMs();
      return (receivedAtMs) => {
        const measuredMs = Math.round(receivedAtMs - (startMs + device.wallMs()) / 2);
        // After a step of the clock between request and answer the measurement is void.
        if (epochs.now() !== asked || !isOffset(measuredMs)) return false;
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

/** Whether this is a possible offset of a device's clock, in milliseconds. */
export function isOffset(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= OFFSET_MS_MAX;
}
