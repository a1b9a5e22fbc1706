import type { Tuning } from "./options.ts";
import type { Platform } from "./platform.ts";
import type { SendOutcome } from "./protocol.ts";

export type SendFailure = Extract<SendOutcome, { kind: "later" | "blocked" }>;

/** Limits the next request by the outcomes of the earlier ones: its time, on the monotonic clock, and its number of views. */
export interface SendPace {
  batchMax(): number;
  /** No request begins before this time. */
  notBeforeMs(): number;
  /** The server asked for a wait that is not over yet. */
  isHeld(): boolean;
  accepted(flushAfterMs: number): void;
  /** The server refused one view of the request. */
  refused(): void;
  /** The request was too large. @param views its number of views. */
  tooLarge(views: number): void;
  /** @param views number of views in the request. @returns milliseconds until the next attempt. */
  failed(outcome: SendFailure, views: number): number;
  /** Ends the backoff. The wait that the server asked for stays. */
  hurry(): void;
  /** The app or the network is back: begins a short random wait instead of the backoff. */
  awake(): void;
}

/** Spreads the requests of the many devices that get their network back in the same instant. */
const AWAKE_SPREAD_MS = 1_000;

export function createSendPace(platform: Platform, tuning: Tuning): SendPace {
  let serverNotBeforeMs = 0;
  let backoffUntilMs = 0;
  let failures = 0;
  let { batchMax } = tuning;
  /** Halved by BATCH_TOO_LARGE, and never raised again. */
  let batchMaxEver = batchMax;

  const notBeforeMs = () => Math.max(serverNotBeforeMs, backoffUntilMs);
  /** Full jitter: from 0 to a bound that doubles with each failure. */
  const backoffMs = () =>
    platform.random() * Math.min(tuning.backoffMsMax, tuning.backoffMs * 2 ** Math.min(failures, 30));

  return {
    batchMax: () => batchMax,
    notBeforeMs,
    isHeld: () => serverNotBeforeMs > platform.monotonicMs(),
    accepted(flushAfterMs) {
      failures = 0;
      backoffUntilMs = 0;
      serverNotBeforeMs = platform.monotonicMs() + flushAfterMs;
      batchMax = Math.min(batchMaxEver, batchMax * 2);
    },
    refused() {
      // The other views are sent at once. After a second refusal in a row the backoff applies.
      if (failures++ > 0) backoffUntilMs = platform.monotonicMs() + backoffMs();
    },
    tooLarge(views) {
      batchMax = batchMaxEver = Math.ceil(views / 2);
    },
    failed(outcome, views) {
      const nowMs = platform.monotonicMs();
      backoffUntilMs = nowMs + (outcome.kind === "blocked" ? tuning.blockedRetryMs : backoffMs());
      failures++;
      if (outcome.kind === "later") serverNotBeforeMs = nowMs + outcome.waitMs;
      // A slow network may carry a smaller request in time. And where the server, or a proxy, does not take a single view,
      // halving isolates it.
      if ((outcome.code === "TIMEOUT" || outcome.code === "BAD_USER_INPUT") && views > 1)
        batchMax = Math.floor(views / 2);
      return Math.ceil(notBeforeMs() - nowMs);
    },
    hurry() {
      backoffUntilMs = 0;
    },
    awake() {
      failures = 0;
      backoffUntilMs = platform.monotonicMs() + platform.random() * AWAKE_SPREAD_MS;
    },
  };
}
