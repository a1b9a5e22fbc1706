import { HOST_CLOCK_SKEW_US_MAX } from "./limits.ts";

export const ERASURE_STATUSES = ["WAITING_FOR_QUEUE", "DELETING", "DONE", "FAILED"] as const;
export type ErasureStatus = (typeof ERASURE_STATUSES)[number];

/** The record of one request to forget a user. */
export interface Erasure {
  readonly id: string;
  readonly userId: string;
  /** Epoch microseconds, from the same clock as receivedAt. */
  readonly requestedAtUs: number;
  readonly status: ErasureStatus;
  readonly rowsDeleted: number;
  readonly finishedAtMs: number | null;
}

/**
 * Everything of the user that was received up to here goes. It lies a little after the request, because the hosts
 * that stamp receivedAt may have clocks that differ by HOST_CLOCK_SKEW_US_MAX.
 */
export function erasedThroughUs(erasure: Pick<Erasure, "requestedAtUs">): number {
  return erasure.requestedAtUs + HOST_CLOCK_SKEW_US_MAX;
}

/**
 * The same, as it is carried out: a request that lies further ahead of now than hosts' clocks may differ was dated by a
 * clock that was ahead, and would shut the user out until then. (What such a clock dated goes all the same: see below.)
 */
export function carriedOutThroughUs(erasure: Pick<Erasure, "requestedAtUs">, nowMs: number): number {
  return Math.min(erasedThroughUs(erasure), nowMs * 1_000 + 2 * HOST_CLOCK_SKEW_US_MAX);
}

/** What an erasure takes of a user, by when it was received; epoch microseconds. */
export interface ErasureReach {
  readonly throughUs: number;
  /** What lies after it was dated by a clock that was ahead, or set back since: nothing is received later than now. */
  readonly aheadOfUs: number;
}

/** @param nowMs when the rows go. */
export function erasureReach(throughUs: number, nowMs: number): ErasureReach {
  return { throughUs, aheadOfUs: Math.max(throughUs, nowMs * 1_000 + HOST_CLOCK_SKEW_US_MAX) };
}

/** Whether what was received then goes. */
export function isWithin({ throughUs, aheadOfUs }: ErasureReach, receivedAtUs: number): boolean {
  return receivedAtUs <= throughUs || receivedAtUs > aheadOfUs;
}
