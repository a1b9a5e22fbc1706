import type { Impression } from "../domain/impression.ts";
import { clockShiftMs, type WallClock } from "../domain/time.ts";
import type { GroupCommit } from "./group-commit.ts";
import type { ReceivedAtClock } from "./received-at-clock.ts";

/** A list of impressions as a client sends it, its structure checked already. */
export interface RecordRequest {
  readonly userId: string;
  /** 1 to 500; `viewedAtMs` by the sender's clock. */
  readonly impressions: readonly Impression[];
  /** The sender's clock at this attempt; null where it did not say. */
  readonly sentAtMs: number | null;
}

export interface RecordResult {
  readonly accepted: number;
  readonly receivedAtMs: number;
  readonly flushAfterMs: number;
}

/** The write side of the API. */
export interface Recorder {
  /**
   * Stamps the list, corrects its times, and resolves once the queue holds it durably.
   *
   * @throws OverloadedError too much is waiting already, or the queue is full; nothing was enqueued.
   * @throws SubmissionTooLargeError the list is larger than a queue message may be.
   * @throws QueueUnavailableError the queue did not confirm; resending the same list is harmless.
   */
  record(request: RecordRequest): Promise<RecordResult>;
}

export function createRecorder(deps: {
  readonly groupCommit: GroupCommit;
  readonly receivedAt: ReceivedAtClock;
  readonly clock: WallClock;
  /** When the client should send next; see domain/pressure. */
  readonly flushAfterMs: () => number;
}): Recorder {
  return {
    async record({ userId, impressions, sentAtMs }) {
      // Room for as many versions of one view as the list may hold.
      const receivedAtUs = deps.receivedAt.nextUs(impressions.length);
      // The sender's clock is held against ours as it stands, not against receivedAt, which may run ahead for a while
      // after our clock was set back.
      const receivedAtMs = deps.clock.nowMs();
      const shiftMs = clockShiftMs(receivedAtMs, sentAtMs);
      const corrected =
        shiftMs === 0
          ? impressions
          : impressions.map((impression) => ({ ...impression, viewedAtMs: impression.viewedAtMs + shiftMs }));
      await deps.groupCommit.add({ userId, receivedAtUs, impressions: corrected });
      return { accepted: impressions.length, receivedAtMs, flushAfterMs: deps.flushAfterMs() };
    },
  };
}
