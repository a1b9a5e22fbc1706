import { setImmediate as turn } from "node:timers/promises";
import type { ExpiryClock } from "../domain/guarded-clock.ts";
import type { WallClock } from "../domain/time.ts";
import type { Delivery, ImpressionQueue } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import { type BatchWriter, createBatchWriter, createHistoryGroups, type Ended } from "./commit-groups.ts";
import type { WorkerCounters } from "./counters.ts";
import {
  type DeadLetterBudget,
  type DeadLetterLog,
  type StoredParts,
  writeDeadLetters,
} from "./dead-letter-writer.ts";
import { type PlannedDeadLetter, type PlanRules, refusedDeadLetter } from "./dead-letters.ts";
import { type Outcome, type PartitionQueues, partitionOf } from "./partition-queues.ts";
import type { Plan, PlannedBatch, PlannedView, Planner } from "./planner.ts";
import {
  createPullProgress,
  nothingYet,
  type PullCounters,
  type PullProgress,
  quietly,
} from "./pull-progress.ts";
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
  counters: WorkerCounters,
): Promise<PullCounters> {
  if (deliveries.length === 0) return nothingYet();
  const { queue, abandon, logger } = deps;
  const rules: PlanRules = {
    stream: queue.stream,
    retentionMs: deps.retentionMs,
    nowMs: deps.clock.nowMs(),
    isStored: deps.storedParts.has,
    expiryMs: deps.expiryClock.nowMs(),
  };
  const progress = createPullProgress(deliveries, {
    queue,
    counters,
    storedParts: deps.storedParts,
    nowMs: deps.clock.nowMs,
    random: deps.random,
    nakDelayMs: deps.nakDelayMs,
    onStored: deps.onStored,
    onReleased: deps.onReleased,
    logger,
  });
  const heartbeat = setInterval(() => {
    void quietly(logger, "extend", () => queue.extend(progress.open()));
  }, queue.ackWaitMs / EXTENSIONS_PER_ACK_WAIT);
  abandon.addEventListener("abort", progress.nakOpen);
  try {
    const plan = await deps.lock.shared(() => planPull(deliveries, rules, deps));
    carryOut(plan, createPartWriters(rules, progress, deps, counters), progress, deps);
  } catch (error) {
    logger.error({ err: error }, "a pull could not be planned: its messages go back to the queue");
    progress.nakOpen();
  } finally {
    await progress.drained();
    abandon.removeEventListener("abort", progress.nakOpen);
    clearInterval(heartbeat);
  }
  return progress.counters;
}

async function planPull(
  deliveries: readonly Delivery[],
  rules: PlanRules,
  { newPlanner, monotonicMs }: Pick<PullHandlerDeps, "newPlanner" | "monotonicMs">,
): Promise<Plan> {
  const planner = newPlanner(rules);
  let sliceStartMs = monotonicMs();
  for (const delivery of deliveries) {
    planner.add(delivery);
    if (monotonicMs() - sliceStartMs < PLAN_SLICE_MS) continue;
    await turn();
    sliceStartMs = monotonicMs();
  }
  return planner.finish();
}

/**
 * Starts everything in the plan; `progress` learns how each part ends. Nothing keeps the plan as a whole: a few messages that
 * have to wait must not hold the memory of all.
 */
function carryOut(
  { deadLetters, viewerBatches, historyBatches, expired, stored }: Plan,
  writers: PartWriters,
  progress: PullProgress,
  { deadLetterBudget, abandon }: Pick<PullHandlerDeps, "deadLetterBudget" | "abandon">,
): void {
  for (const delivery of expired) progress.expired(delivery);
  for (const delivery of stored) progress.storedBefore(delivery);
  const admitted: PlannedDeadLetter[] = [];
  for (const planned of deadLetters) {
    const letter = deadLetterBudget.admit(planned);
    if (letter === null) progress.omitted(planned);
    else admitted.push(letter);
  }
  for (const { delivery } of admitted) progress.expectDeadLetter(delivery);
  for (const { views } of historyBatches)
    for (const { sources } of views) for (const { delivery } of sources) progress.expectView(delivery);
  progress.begin();
  if (abandon.aborted) progress.nakOpen();
  else {
    void writers.writeDeadLetters(admitted);
    writers.writeViews(viewerBatches, historyBatches);
  }
}

/** Write the parts of a pull, and report the end of each to its progress. */
interface PartWriters {
  /** Never throws. */
  writeDeadLetters(letters: readonly PlannedDeadLetter[]): Promise<void>;
  writeViews(viewerBatches: readonly PlannedBatch[], historyBatches: readonly PlannedBatch[]): void;
}

function createPartWriters(
  rules: PlanRules,
  progress: PullProgress,
  deps: PullHandlerDeps,
  counters: WorkerCounters,
): PartWriters {
  // What is begun is ended before more is begun: else a slow store would write a part of each of thousands of messages
  // and end none.
  const order = deps.nextPull();
  const ranks = { history: 2 * order, viewers: 2 * order + 1 };

  /** Writes the history of those views of a user whose viewers are stored, and ends the others. */
  function commit(owner: string, viewers: readonly Ended[]): void {
    const ready: PlannedView[] = [];
    for (const { planned, outcome } of viewers) {
      if (outcome.kind === "stored") ready.push(planned);
      else endView(planned, outcome);
    }
    if (ready.length > 0) deps.writeHistory({ owner, views: ready }, ranks.history, endView);
  }

  function endView({ sources }: PlannedView, outcome: Outcome): void {
    switch (outcome.kind) {
      case "stored":
        progress.stored(sources);
        return;
      case "unavailable":
        for (const { delivery } of sources) progress.failed(delivery);
        return;
      case "refused":
        void addDeadLetters(
          sources.map((source) => ({
            delivery: source.delivery,
            letter: refusedDeadLetter(source, outcome.detail, rules),
          })),
        );
    }
  }

  function addDeadLetters(letters: readonly PlannedDeadLetter[]): Promise<void> {
    return writeDeadLetters(letters, {
      deadLetters: deps.queue.deadLetters,
      lock: deps.lock,
      erasedThrough: deps.erasedThrough,
      log: deps.deadLetterLog,
      forgotten: ({ delivery }) => progress.erased(delivery),
      landed(planned) {
        deps.deadLetterBudget.stored(planned);
        progress.deadLettered(planned);
      },
      failed({ delivery }) {
        counters.deadLettersFailed++;
        progress.failed(delivery);
      },
    });
  }

  return {
    writeDeadLetters: addDeadLetters,
    writeViews(viewerBatches, historyBatches) {
      const groups = createHistoryGroups(historyBatches, {
        isUnhealthy: ({ view }) => deps.isUnhealthy(partitionOf("viewers", view.postId)),
        commit,
      });
      for (const batch of viewerBatches) deps.writeViewers(batch, ranks.viewers, groups.ended);
    },
  };
}
