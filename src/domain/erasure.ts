import { HOST_CLOCK_SKEW_US_MAX } from "./limits.ts";

export const ERASURE_STATUSES = ["WAITING_FOR_QUEUE", "DELETING", "DONE", "FAILED"] as const;
export type ErasureStatus = (typeof ERASURE_STATUSES)[number];

/** The receipt of one request to forget a user. */
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
