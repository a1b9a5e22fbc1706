import { setImmediate as turn } from "node:timers/promises";
import type { DeadLetterReason } from "../domain/dead-letter.ts";
import type { ExpiryClock } from "../domain/guarded-clock.ts";
import { microsToMillis, type WallClock } from "../domain/time.ts";
import type { Delivery, ImpressionQueue } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createAckTracker } from "./ack-tracker.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import { type BatchWriter, createBatchWriter, createHistoryGroups, type Ended } from "./commit-groups.ts";
import { createMessageCounters, type WorkerCounters } from "./counters.ts";
import {
  type DeadLetterBudget,
  type DeadLetterLog,
  type StoredParts,
  writeDeadLetters,
} from "./dead-letter-writer.ts";
import { type PlannedDeadLetter, type PlanRules, refusedDeadLetter } from "./dead-letters.ts";
import { type Outcome, type PartitionQueues, partitionOf } from "./partition-queues.ts";
import type { Plan, PlannedView, Planner } from "./plan.ts";
import type { SharedLock } from "./shared-lock.ts";

/** Planning lets the event loop go on after this: mutations of the same process wait no longer for it. */
const PLAN_SLICE_MS = 5;
/** In-flight messages are extended three times per ackWait, so two lost extensions are tolerated. */
export const EXTENSIONS_PER_ACK_WAIT = 3;

/** What the pulls of a process share. */
export interface PullHandlerDeps {
  readonly queue: ImpressionQueue;
  readonly writeViewers: BatchWriter;
  readonly writeHistory: BatchWriter;
  readonly erasedThrough: ImpressionStore["erasedThrough"];
  readonly isUnhealthy: PartitionQueues["isUnhealthy"];
  /** Numbers the pulls, and what an older one has to write goes first: see `ranks` below. */
  readonly nextPull: () => number;
  readonly newPlanner: (rules: PlanRules) => Planner;
  readonly deadLetterBudget: DeadLetterBudget;
  readonly deadLetterLog: DeadLetterLog;
  readonly storedParts: StoredParts;
  /** Held shared around all work on messages but the store writes, whose writer holds it itself. */
  readonly lock: Pick<SharedLock, "shared">;
  readonly clock: WallClock;
  readonly expiryClock: Pick<ExpiryClock, "nowMs">;
  readonly monotonicMs: () => number;
  readonly retentionMs: number;
  readonly random: () => number;
  /** The nak delay of a message, before the jitter. */
  readonly nakDelayMs: (delivery: Delivery) => number;
  readonly counters: WorkerCounters;
  /** Called for each stored impression with the time since its receipt; again for one that is stored again. */
  readonly onStored: (lagMs: number) => void;
  readonly onReleased: (deliveries: readonly Delivery[]) => void;
  /** Aborts when all open messages are to be nacked, whatever becomes of their writes. */
  readonly abandon: AbortSignal;
  readonly logger: Logger;
}

/** The two writers of a view's rows, by way of `writes`. */
export function createStoreWriters(
  writes: Pick<PartitionQueues, "write">,
  store: Pick<ImpressionStore, "writeViewers" | "writeHistory">,
  breaker: Pick<CircuitBreaker, "succeeded">,
): Pick<PullHandlerDeps, "writeViewers" | "writeHistory"> {
  return {
    writeViewers: createBatchWriter(writes, "viewers", store.writeViewers),
    writeHistory: createBatchWriter(writes, "history", async (userId, views, writeOptions) => {
      await store.writeHistory(userId, views, writeOptions);
      // Only the commit point tells that the store works: the first write may be nothing at all on some engine.
      breaker.succeeded();
    }),
  };
}

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

function nothingYet(): PullCounters {
  return { stored: 0, deadLettered: 0, omitted: 0, expired: 0, nacked: 0, reasons: {}, sequences: [] };
}

/**
 * Stores a pull and ends each of its messages by itself: acked when all of its impressions are stored or dead-lettered,
 * nacked otherwise. The queue delivers a message again that can be neither acked nor nacked.
 *
 * The order inside the pull is the store model's: a post's viewers first, then, for each user, the history that makes
 * the views visible. A history batch waits only for the viewers of its own views.
 *
 * @returns when every message is acked or nacked. Never throws.
 */
export async function handlePull(
  deliveries: readonly Delivery[],
  deps: PullHandlerDeps,
): Promise<PullCounters> {
  const { queue, counters, logger } = deps;
  if (deliveries.length === 0) return nothingYet();
  const rules = {
    stream: queue.stream,
    retentionMs: deps.retentionMs,
    nowMs: deps.clock.nowMs(),
    isStored: deps.storedParts.has,
    expiryMs: deps.expiryClock.nowMs(),
  };
  const pull = nothingYet();
  /** Views that are not stored yet, of messages that have dead letters as well. */
  const unstored = new Map<Delivery, number>();

  const messageCounters = createMessageCounters();
  // What is begun is ended before more is begun: else a slow store would write a part of each of thousands of messages
  // and end none.
  const order = deps.nextPull();
  const ranks = { history: 2 * order, viewers: 2 * order + 1 };

  const acks = createAckTracker(deliveries, {
    async ack(done) {
      await quietly("acknowledge", async () => {
        await queue.ack(done);
        counters.acknowledged += done.length;
        for (const delivery of done) {
          messageCounters.count(delivery, counters);
          deps.storedParts.forget(delivery);
        }
      });
      deps.onReleased(done);
    },
    async nak(failed) {
      counters.nacked += failed.length;
      pull.nacked += failed.length;
      for (const delivery of failed) if (unstored.get(delivery) === 0) deps.storedParts.remember(delivery);
      await quietly("nak", () => nak(failed));
      deps.onReleased(failed);
    },
  });
  const heartbeat = setInterval(() => {
    void quietly("extend", () => queue.extend(acks.open()));
  }, queue.ackWaitMs / EXTENSIONS_PER_ACK_WAIT);
  deps.abandon.addEventListener("abort", acks.nakOpen);
  try {
    carryOut(await deps.lock.shared(plan));
    await acks.drained();
  } catch (error) {
    logger.error({ err: error }, "a pull could not be planned: its messages go back to the queue");
    acks.nakOpen();
    await acks.drained();
  } finally {
    deps.abandon.removeEventListener("abort", acks.nakOpen);
    clearInterval(heartbeat);
  }
  return pull;

  async function plan(): Promise<Plan> {
    const planner = deps.newPlanner(rules);
    let sliceStartMs = deps.monotonicMs();
    for (const delivery of deliveries) {
      planner.add(delivery);
      if (deps.monotonicMs() - sliceStartMs < PLAN_SLICE_MS) continue;
      await turn();
      sliceStartMs = deps.monotonicMs();
    }
    return planner.finish();
  }

  /**
   * Starts everything in the plan; the ack tracker learns how each part ends. Nothing keeps the plan as a whole: a few
   * messages that have to wait must not hold the memory of all.
   */
  function carryOut({ deadLetters: planned, viewerBatches, historyBatches, expired, stored }: Plan): void {
    pull.expired = expired.length;
    for (const delivery of expired) messageCounters.expired(delivery);
    for (const delivery of stored) messageCounters.stored(delivery);
    const admitted = planned.flatMap((planned) => deps.deadLetterBudget.admit(planned) ?? omit(planned));
    for (const { delivery } of admitted) {
      acks.expect(delivery);
      unstored.set(delivery, 0);
    }
    for (const batch of historyBatches) {
      for (const { sources } of batch.views) for (const { delivery } of sources) expectView(delivery);
    }
    acks.begin();
    if (deps.abandon.aborted) {
      acks.nakOpen();
      return;
    }
    void addLetters(admitted);
    const groups = createHistoryGroups(historyBatches, {
      isUnhealthy: ({ view }) => deps.isUnhealthy(partitionOf("viewers", view.postId)),
      commit,
    });
    for (const batch of viewerBatches) deps.writeViewers(batch, ranks.viewers, groups.ended);
  }

  function expectView(delivery: Delivery): void {
    acks.expect(delivery);
    const views = unstored.get(delivery);
    if (views !== undefined) unstored.set(delivery, views + 1);
  }

  /** Counts a bad impression that has no dead letter of its own. */
  function omit({ delivery, letter }: PlannedDeadLetter): [] {
    pull.omitted++;
    messageCounters.omitted(delivery);
    countLetter(delivery, letter.reason);
    return [];
  }

  function countLetter(delivery: Delivery, reason: DeadLetterReason): void {
    pull.deadLettered++;
    pull.reasons[reason] = (pull.reasons[reason] ?? 0) + 1;
    const { sequence } = delivery;
    if (pull.sequences.length < SEQUENCES_MAX && !pull.sequences.includes(sequence))
      pull.sequences.push(sequence);
    messageCounters.deadLettered(delivery, reason);
  }

  /** Writes the history of those views of a user whose viewers are stored, and ends the others. */
  function commit(owner: string, viewers: readonly Ended[]): void {
    const ready: PlannedView[] = [];
    for (const { planned, outcome } of viewers) {
      if (outcome.kind === "stored") ready.push(planned);
      else endView(planned, outcome);
    }
    if (ready.length > 0) deps.writeHistory({ owner, views: ready }, ranks.history, endView);
  }

  function endView(planned: PlannedView, outcome: Outcome): void {
    if (outcome.kind === "refused") {
      const { detail } = outcome;
      void addLetters(
        planned.sources.map((source) => ({
          delivery: source.delivery,
          letter: refusedDeadLetter(source, detail, rules),
        })),
      );
      return;
    }
    const nowMs = deps.clock.nowMs();
    for (const { delivery, view } of planned.sources) {
      if (outcome.kind !== "stored") {
        acks.failed(delivery);
        continue;
      }
      pull.stored++;
      messageCounters.stored(delivery);
      const views = unstored.get(delivery);
      if (views !== undefined) unstored.set(delivery, views - 1);
      deps.onStored(nowMs - microsToMillis(view.receivedAtUs));
      acks.succeeded(delivery);
    }
  }

  function addLetters(letters: readonly PlannedDeadLetter[]): Promise<void> {
    return writeDeadLetters(letters, {
      deadLetters: queue.deadLetters,
      lock: deps.lock,
      erasedThrough: deps.erasedThrough,
      log: deps.deadLetterLog,
      forgotten({ delivery }) {
        pull.stored++;
        messageCounters.stored(delivery);
        acks.succeeded(delivery);
      },
      landed(planned) {
        deps.deadLetterBudget.stored(planned);
        countLetter(planned.delivery, planned.letter.reason);
        acks.succeeded(planned.delivery);
      },
      failed({ delivery }) {
        counters.deadLettersFailed++;
        acks.failed(delivery);
      },
    });
  }

  async function nak(failed: readonly Delivery[]): Promise<void> {
    for (const [delayMs, same] of Map.groupBy(failed, deps.nakDelayMs))
      await queue.nak(same, Math.round(delayMs * (0.5 + deps.random() / 2)));
  }

  async function quietly(what: string, call: () => Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      logger.warn({ err: error }, `could not ${what}: the messages will be delivered again`);
    }
  }
}
