import type { Submission } from "../domain/impression.ts";
import type { Clock } from "../domain/time.ts";
import { OverloadedError } from "../ingest/errors.ts";
import type { GroupCommit } from "../ingest/group-commit.ts";
import { QueueUnavailableError } from "../ports/errors.ts";
import type { ImpressionQueue } from "../ports/impression-queue.ts";
import { BACKLOG_MESSAGES_MAX } from "./backlog.ts";
import { createBackoff, createStallWatch, STALL_MS_MAX } from "./backoff.ts";
import { TransferStalledError } from "./errors.ts";

/** How often the queue is asked, at most: it costs a round trip. */
const BACKLOG_CHECK_INTERVAL_MS = 100;
/** A backlog shrinks all the time: looking again later than this would leave the workers idle. */
const BACKLOG_WAIT_MS_MAX = 200;

/** Hands submissions to the queue and does not give up at once. */
export interface SubmissionSender {
  /**
   * Resolves once the queue's backlog lets more in. Call it before the next `send`.
   *
   * @throws TransferStalledError the backlog did not shrink for a long time.
   */
  room(signal: AbortSignal): Promise<void>;
  /**
   * Resolves once all of them are durable. Sends again what a full or unreachable queue refused.
   *
   * @throws TransferStalledError the queue took nothing at all for a long time.
   */
  send(submissions: readonly Submission[], signal: AbortSignal): Promise<void>;
}

export function createSubmissionSender(deps: {
  readonly groupCommit: Pick<GroupCommit, "add">;
  readonly queue: Pick<ImpressionQueue, "stats">;
  readonly clock: Clock;
  readonly backlogMessagesMax?: number;
  readonly stallMsMax?: number;
}): SubmissionSender {
  const backlogMessagesMax = deps.backlogMessagesMax ?? BACKLOG_MESSAGES_MAX;
  const stallMsMax = deps.stallMsMax ?? STALL_MS_MAX;
  /** One for all sends: while any of them gets through, the queue is alive. */
  const queueWatch = createStallWatch(stallMsMax, deps.clock);
  let checkedAtMs = Number.NEGATIVE_INFINITY;

  function noteRefusal(reason: Error): void {
    if (!(reason instanceof OverloadedError) && !(reason instanceof QueueUnavailableError)) throw reason;
    queueWatch.stuck();
    if (queueWatch.isOver()) {
      throw new TransferStalledError(
        `the queue took nothing for ${queueWatch.stallSeconds} s (${reason.message})`,
      );
    }
  }

  /** Messages that wait, or null while the queue cannot tell. */
  async function backlog(): Promise<number | null> {
    try {
      return (await deps.queue.stats()).pending;
    } catch (error) {
      noteRefusal(error as Error);
      return null;
    }
  }

  return {
    async room(signal) {
      if (deps.clock.monotonicMs() - checkedAtMs < BACKLOG_CHECK_INTERVAL_MS) return;
      const watch = createStallWatch(stallMsMax, deps.clock);
      const backoff = createBackoff(BACKLOG_WAIT_MS_MAX);
      let smallest = Number.POSITIVE_INFINITY;
      for (;;) {
        const pending = await backlog();
        if (pending !== null && pending <= backlogMessagesMax) break;
        if (pending !== null && pending < smallest) {
          smallest = pending;
          watch.progressed();
        }
        watch.stuck();
        if (watch.isOver()) {
          throw new TransferStalledError(
            `the workers are behind: ${pending ?? "unknown"} messages wait in the queue, not fewer for ` +
              `${watch.stallSeconds} s (an import waits until there are at most ${backlogMessagesMax})`,
          );
        }
        await backoff.wait(signal);
      }
      checkedAtMs = deps.clock.monotonicMs();
    },

    async send(submissions, signal) {
      const backoff = createBackoff();
      let remaining = submissions;
      for (;;) {
        const results = await Promise.allSettled(
          remaining.map((submission) => deps.groupCommit.add(submission)),
        );
        const refused = remaining.filter((_, index) => results[index]?.status === "rejected");
        if (refused.length < remaining.length) {
          queueWatch.progressed();
          backoff.reset();
        }
        if (refused.length === 0) return;
        for (const result of results) {
          if (result.status === "rejected") noteRefusal(result.reason as Error);
        }
        remaining = refused;
        await backoff.wait(signal);
      }
    },
  };
}
