import type { DeadLetterReason } from "../domain/dead-letter.ts";
import { microsToMillis } from "../domain/time.ts";
import type { Delivery, ImpressionQueue } from "../ports/impression-queue.ts";
import type { Logger } from "../telemetry/logger.ts";
import { type AckTracker, createAckTracker } from "./ack-tracker.ts";
import { createMessageCounters, type WorkerCounters } from "./counters.ts";
import type { StoredParts } from "./dead-letter-writer.ts";
import type { PlannedDeadLetter, Source } from "./dead-letters.ts";

/** What became of the impressions of a pull. */
export interface PullCounters {
  stored: number;
  deadLettered: number;
  /** Of these, those that are counted and have no dead letter of their own. */
  omitted: number;
  expired: number;
  /** Messages nacked. */
  nacked: number;
  /** Of `deadLettered`, by reason. */
  readonly reasons: Partial<Record<DeadLetterReason, number>>;
  /** Messages with something dead-lettered in them, the first of them, by their place in the stream. */
  readonly sequences: number[];
}

/** Messages that a log line names. */
const SEQUENCES_MAX = 10;

export function nothingYet(): PullCounters {
  return { stored: 0, deadLettered: 0, omitted: 0, expired: 0, nacked: 0, reasons: {}, sequences: [] };
}

/**
 * The one place that learns how each part of a pull ends: it counts the part, and acks or naks the part's message when that was
 * the last one.
 *
 *   expected ----> stored, dead-lettered, or erased: succeeded
 *      |
 *      +---------> failed: the message is nacked, and comes again
 *
 * What is expired, stored before or omitted needs no work: it is counted, and no part of its message.
 */
export interface PullProgress extends Pick<AckTracker, "begin" | "open" | "nakOpen" | "drained" | "failed"> {
  readonly counters: PullCounters;
  expired(delivery: Delivery): void;
  /** An earlier delivery of the message has stored it. */
  storedBefore(delivery: Delivery): void;
  /** A bad impression has no dead letter of its own. */
  omitted(planned: PlannedDeadLetter): void;
  /** One more part of the message is on its way: a dead letter. To be called before the message's views are expected. */
  expectDeadLetter(delivery: Delivery): void;
  expectView(delivery: Delivery): void;
  /** A view is stored, for each impression that it stands for. */
  stored(sources: readonly Source[]): void;
  deadLettered(planned: PlannedDeadLetter): void;
  /** A dead letter is not written, since its user was erased meanwhile. */
  erased(delivery: Delivery): void;
}

export interface PullProgressDeps {
  readonly queue: Pick<ImpressionQueue, "ack" | "nak">;
  /** Of the worker loop. */
  readonly counters: WorkerCounters;
  readonly storedParts: StoredParts;
  readonly nowMs: () => number;
  readonly random: () => number;
  /** The nak delay of a message, before the jitter. */
  readonly nakDelayMs: (delivery: Delivery) => number;
  /** Called for each stored impression with the time since its receipt; again for one that is stored again. */
  readonly onStored: (lagMs: number) => void;
  readonly onReleased: (deliveries: readonly Delivery[]) => void;
  readonly logger: Logger;
}

export function createPullProgress(deliveries: readonly Delivery[], deps: PullProgressDeps): PullProgress {
  const { queue, counters: worker, storedParts } = deps;
  const pull = nothingYet();
  const messages = createMessageCounters();
  /** Views that are not stored yet, of messages that have dead letters as well. */
  const unstored = new Map<Delivery, number>();
  const acks = createAckTracker(deliveries, { ack, nak });

  async function ack(done: readonly Delivery[]): Promise<void> {
    await quietly(deps.logger, "acknowledge", async () => {
      await queue.ack(done);
      worker.acknowledged += done.length;
      for (const delivery of done) {
        messages.count(delivery, worker);
        storedParts.forget(delivery);
      }
    });
    deps.onReleased(done);
  }

  async function nak(failed: readonly Delivery[]): Promise<void> {
    worker.nacked += failed.length;
    pull.nacked += failed.length;
    for (const delivery of failed) if (unstored.get(delivery) === 0) storedParts.remember(delivery);
    await quietly(deps.logger, "nak", async () => {
      for (const [delayMs, same] of Map.groupBy(failed, deps.nakDelayMs))
        await queue.nak(same, Math.round(delayMs * (0.5 + deps.random() / 2)));
    });
    deps.onReleased(failed);
  }

  function countDeadLetter(delivery: Delivery, reason: DeadLetterReason): void {
    pull.deadLettered++;
    pull.reasons[reason] = (pull.reasons[reason] ?? 0) + 1;
    const { sequence } = delivery;
    if (pull.sequences.length < SEQUENCES_MAX && !pull.sequences.includes(sequence))
      pull.sequences.push(sequence);
    messages.deadLettered(delivery, reason);
  }

  function countUnstored(delivery: Delivery, change: number): void {
    const views = unstored.get(delivery);
    if (views !== undefined) unstored.set(delivery, views + change);
  }

  return {
    begin: acks.begin,
    open: acks.open,
    nakOpen: acks.nakOpen,
    drained: acks.drained,
    failed: acks.failed,
    counters: pull,
    expired(delivery) {
      pull.expired++;
      messages.expired(delivery);
    },
    storedBefore: messages.stored,
    omitted({ delivery, letter }) {
      pull.omitted++;
      messages.omitted(delivery);
      countDeadLetter(delivery, letter.reason);
    },
    expectDeadLetter(delivery) {
      acks.expect(delivery);
      unstored.set(delivery, 0);
    },
    expectView(delivery) {
      acks.expect(delivery);
      countUnstored(delivery, 1);
    },
    stored(sources) {
      const nowMs = deps.nowMs();
      for (const { delivery, view } of sources) {
        pull.stored++;
        messages.stored(delivery);
        countUnstored(delivery, -1);
        deps.onStored(nowMs - microsToMillis(view.receivedAtUs));
        acks.succeeded(delivery);
      }
    },
    deadLettered({ delivery, letter }) {
      countDeadLetter(delivery, letter.reason);
      acks.succeeded(delivery);
    },
    erased(delivery) {
      pull.stored++;
      messages.stored(delivery);
      acks.succeeded(delivery);
    },
  };
}

/** Logs what fails: the queue delivers messages again that are neither acked nor nacked. */
export async function quietly(logger: Logger, what: string, call: () => Promise<void>): Promise<void> {
  try {
    await call();
  } catch (error) {
    logger.warn({ err: error }, `could not ${what}: the messages will be delivered again`);
  }
}
