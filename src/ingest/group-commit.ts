import type { Submission } from "../domain/impression.ts";
import { IMPRESSIONS_PER_MUTATION_MAX, SUBMISSION_BYTES_MAX } from "../domain/limits.ts";
import { encodeSubmission, joinSubmissions } from "../domain/queue-message.ts";
import { QueueFullError, QueueUnavailableError } from "../ports/errors.ts";
import type { OutgoingMessage } from "../ports/impression-queue.ts";
import { OverloadedError, SubmissionTooLargeError } from "./errors.ts";

/** A message closes when the next submission would take it over one of these; one submission always fits. */
const IMPRESSIONS_PER_MESSAGE_MAX = IMPRESSIONS_PER_MUTATION_MAX;
const MESSAGE_BYTES_MAX = 128 * 1024;

/**
 * Coalesces concurrent mutations into few queue messages.
 *
 * Natural batching: while a message is on its way the next one fills, and it leaves as soon as one of `inFlightMax`
 * slots is free; an idle stage sends at the end of the current turn of the event loop. Measured on a prototype with
 * 64 connections this gave 2.2 times the mutations of one message each, and with one connection it adds 0.07 ms, where
 * a timer of 2 ms adds 2.4.
 */
export interface GroupCommit {
  /**
   * Resolves once the message that holds the submission is durable. A submission is never split.
   *
   * @throws OverloadedError nothing was enqueued.
   * @throws SubmissionTooLargeError nothing was enqueued.
   * @throws QueueUnavailableError the whole message failed; it may be stored all the same.
   */
  add(submission: Submission): Promise<void>;
  /** The used shares (0 to 1) of the stage's own limits, for `flushAfterMs`. */
  usedShares(): readonly number[];
  /** Resolves when everything that was added is published or failed. */
  drain(): Promise<void>;
}

export interface GroupCommitOptions {
  /** Publishes a message, its retries included. */
  readonly publish: (message: OutgoingMessage) => Promise<void>;
  readonly newMessageId: () => string;
  /** Messages on their way at once. */
  readonly inFlightMax: number;
  /** Mutations that wait or are on their way. */
  readonly pendingMutationsMax: number;
  /** Bytes of those mutations. */
  readonly pendingBytesMax: number;
  /** A message that has waited longer for a slot fails instead of being sent: its senders have given up. */
  readonly waitMsMax: number;
  /** Monotonic milliseconds. */
  readonly monotonicMs: () => number;
  /** A message has ended: durable, failed, or given up before the queue was asked, since it had waited too long. */
  readonly onMessage?: (message: CommittedMessage) => void;
}

/** A message of the group commit, as it ended. */
export interface CommittedMessage {
  /** The id that the queue knows it by (Nats-Msg-Id). */
  readonly id: string;
  readonly mutations: number;
  readonly impressions: number;
  /** From the hand-over to the queue's confirmation, its retries included; about 0 where the queue was not asked. */
  readonly durationMs: number;
  /** Whether it is durable; else its mutations have failed. */
  readonly confirmed: boolean;
}

/** A message that still fills, or waits for a slot. */
interface Group {
  readonly parts: string[];
  readonly openedAtMs: number;
  impressions: number;
  bytes: number;
  readonly done: PromiseWithResolvers<void>;
}

export function createGroupCommit(options: GroupCommitOptions): GroupCommit {
  /** Groups that wait for a slot; only the last one still fills. */
  const waiting: Group[] = [];
  let inFlight = 0;
  let pendingMutations = 0;
  let pendingBytes = 0;
  let sendScheduled = false;
  let drained = Promise.withResolvers<void>();

  function openGroup(impressions: number, bytes: number): Group {
    const last = waiting.at(-1);
    const fits =
      last !== undefined &&
      last.impressions + impressions <= IMPRESSIONS_PER_MESSAGE_MAX &&
      last.bytes + bytes <= MESSAGE_BYTES_MAX;
    if (fits) return last;
    const group: Group = {
      parts: [],
      openedAtMs: options.monotonicMs(),
      impressions: 0,
      bytes: 0,
      done: Promise.withResolvers(),
    };
    waiting.push(group);
    return group;
  }

  function send(): void {
    sendScheduled = false;
    while (inFlight < options.inFlightMax) {
      const group = waiting.shift();
      if (group === undefined) return;
      inFlight++;
      void publishGroup(group);
    }
  }

  async function publishGroup(group: Group): Promise<void> {
    const id = options.newMessageId();
    const startedMs = options.monotonicMs();
    let confirmed = false;
    try {
      if (startedMs - group.openedAtMs > options.waitMsMax) {
        throw new QueueUnavailableError(`nothing could be sent to the queue for ${options.waitMsMax} ms`);
      }
      await options.publish({ id, body: joinSubmissions(group.parts) });
      confirmed = true;
      group.done.resolve();
    } catch (error) {
      group.done.reject(error);
    } finally {
      inFlight--;
      pendingMutations -= group.parts.length;
      pendingBytes -= group.bytes;
      send();
      if (pendingMutations === 0) drained.resolve();
      options.onMessage?.({
        id,
        mutations: group.parts.length,
        impressions: group.impressions,
        durationMs: options.monotonicMs() - startedMs,
        confirmed,
      });
    }
  }

  return {
    async add(submission) {
      const encoded = encodeSubmission(submission);
      const bytes = Buffer.byteLength(encoded);
      if (bytes > SUBMISSION_BYTES_MAX) {
        throw new SubmissionTooLargeError(`a submission of ${bytes} bytes exceeds ${SUBMISSION_BYTES_MAX}`);
      }
      if (pendingMutations >= options.pendingMutationsMax || pendingBytes + bytes > options.pendingBytesMax) {
        throw new OverloadedError(`${pendingMutations} mutations (${pendingBytes} bytes) wait for the queue`);
      }
      if (pendingMutations === 0) drained = Promise.withResolvers();
      pendingMutations++;
      pendingBytes += bytes;
      const group = openGroup(submission.impressions.length, bytes);
      group.parts.push(encoded);
      group.impressions += submission.impressions.length;
      group.bytes += bytes;
      if (!sendScheduled && inFlight < options.inFlightMax) {
        sendScheduled = true;
        setImmediate(send);
      }
      try {
        await group.done.promise;
      } catch (error) {
        if (error instanceof QueueFullError) throw new OverloadedError("the queue is full", { cause: error });
        throw error;
      }
    },

    usedShares() {
      return [pendingMutations / options.pendingMutationsMax, pendingBytes / options.pendingBytesMax];
    },

    async drain() {
      if (pendingMutations > 0) await drained.promise;
    },
  };
}
