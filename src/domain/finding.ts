import { HOST_CLOCK_SKEW_US_MAX } from "./limits.ts";

/** What one check of `impressions doctor` found. */
export interface Finding {
  readonly result: "ok" | "warning" | "failed";
  /** What was looked at, in a word or two. */
  readonly check: string;
  /** One line; of a warning or a failure also what to do. */
  readonly detail: string;
}

export const ok = (check: string, detail: string): Finding => ({ result: "ok", check, detail });
export const warning = (check: string, detail: string): Finding => ({ result: "warning", check, detail });
export const failed = (check: string, detail: string): Finding => ({ result: "failed", check, detail });

/** From here on clients are asked to wait (domain/pressure.ts). */
const FILLING_SHARE = 0.5;
/** What is left is gone within moments. */
const FULL_SHARE = 0.95;

/** How full something with a byte limit is. @param remedy what to do, as a clause. */
export function spaceFinding(check: string, usedBytes: number, limitBytes: number, remedy: string): Finding {
  const share = usedBytes / limitBytes;
  const detail = `${printableBytes(usedBytes)} of ${printableBytes(limitBytes)} used`;
  if (share >= FULL_SHARE) return failed(check, `${detail}: ${remedy}`);
  return share >= FILLING_SHARE ? warning(check, `${detail}: ${remedy}`) : ok(check, detail);
}

const HOST_CLOCK_SKEW_MS_MAX = HOST_CLOCK_SKEW_US_MAX / 1_000;
/** NTP keeps hosts within some milliseconds: more means that it does not run. */
const CLOCK_SKEW_MS_USUAL = 500;

/** One look at another clock: ours before asking and after the answer, and what it said. Epoch milliseconds. */
export interface ClockReading {
  readonly who: string;
  readonly beforeMs: number;
  readonly theirsMs: number;
  readonly afterMs: number;
}

/**
 * Whether the clocks of the hosts are within HOST_CLOCK_SKEW_US_MAX of ours, which erasures rely on. Theirs was read at
 * some moment between before and after: only what is certainly too far apart counts.
 */
export function clockFinding(check: string, readings: readonly ClockReading[]): Finding {
  const skews = readings.map(({ who, beforeMs, theirsMs, afterMs }) => ({
    who,
    skewMs: theirsMs > afterMs ? theirsMs - afterMs : Math.min(0, theirsMs - beforeMs),
  }));
  const worst = skews.reduce((a, b) => (Math.abs(b.skewMs) > Math.abs(a.skewMs) ? b : a), {
    who: "",
    skewMs: 0,
  });
  const apartMs = Math.abs(worst.skewMs);
  const detail =
    `the clock of ${worst.who} is ${(apartMs / 1_000).toFixed(1)} s ${worst.skewMs > 0 ? "ahead of" : "behind"} this host's: ` +
    `run NTP on every host, at most ${HOST_CLOCK_SKEW_MS_MAX / 1_000} s between any two are allowed`;
  if (apartMs > HOST_CLOCK_SKEW_MS_MAX) return failed(check, detail);
  if (apartMs > CLOCK_SKEW_MS_USUAL) return warning(check, detail);
  return ok(check, `within ${CLOCK_SKEW_MS_USUAL} ms of this host's`);
}

/** 1536 MiB as "1.5 GiB". */
export function printableBytes(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
