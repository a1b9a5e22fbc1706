import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../domain/time.ts";
import type { Delivery, ImpressionQueue } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createBatchWriter, type Outcome, type Outcomes } from "./batch-writer.ts";
import type { Breaker } from "./breaker.ts";
import type { ConcurrencyLimit } from "./concurrency.ts";
import { writeLetters } from "./letter-writer.ts";
import {
  createPlanner,
  type Plan,
  type PlannedBatch,
  type PlannedLetter,
  type PlannedView,
  type PlanRules,
  refusedLetter,
} from "./plan.ts";
import { createSettlement } from "./settlement.ts";
import { giveBackDelayMs } from "./verdict.ts";

/** Planning lets the event loop go on after this: mutations of the same process wait no longer for it. */
const PLAN_SLICE_MS = 5;

/** What the loops of a process share. */
export interface PullHandlerDeps {
  readonly queue: ImpressionQueue;
  readonly store: ImpressionStore;
  readonly limit: ConcurrencyLimit;
  readonly breaker: Breaker;
  readonly clock: Clock;
  readonly random: () => number;
  readonly retentionMs: number;
  /** How often the queue is told that the messages in hand are still worked on; well under its ackWait. */
  readonly extendIntervalMs: number;
  readonly logger: Logger;
}

/** What became of the impressions of a pull. */
export interface PullCounts {
  stored: number;
  deadLettered: number;
  expired: number;
  /** Messages returned to the queue. */
  givenBack: number;
}

/**
 * Stores a pull and settles each of its messages: acknowledged when all of its impressions are stored or
 * dead-lettered, given back otherwise. What cannot even be settled is delivered again by the queue.
 *
 * The order inside the pull is the store model's: a post's viewers first, then, for each user, the history that makes
 * the views visible. A history batch waits only for the viewers of its own views.
 */
export async function handlePull(
  deliveries: readonly Delivery[],
  deps: PullHandlerDeps,
): Promise<PullCounts> {
  const { queue, store, logger } = deps;
  const rules = { stream: queue.stream, retentionMs: deps.retentionMs, nowMs: deps.clock.nowMs() };
  const plan = await planInSlices(deliveries, rules);
  const counts: PullCounts = { stored: 0, deadLettered: 0, expired: plan.expired, givenBack: 0 };
  const writer = createBatchWriter(deps);

  const settlement = createSettlement(deliveries, {
    ack: (done) => quietly("acknowledge", () => queue.ack(done)),
    giveBack: (failed) => {
      counts.givenBack += failed.length;
      return quietly("give back", () => giveBack(failed));
    },
  });
  for (const { delivery } of plan.letters) settlement.expect(delivery);
  for (const batch of plan.historyBatches) {
    for (const { sources } of batch.views) for (const { delivery } of sources) settlement.expect(delivery);
  }
  settlement.begin();

  const heartbeat = setInterval(() => {
    void quietly("extend", () => queue.extend(settlement.unsettled()));
  }, deps.extendIntervalMs);
  try {
    const viewersWritten = new Map<PlannedView, Promise<Outcomes>>();
    for (const batch of plan.viewerBatches) {
      const outcomes = writer.write(batch, store.writeViewers);
      for (const planned of batch.views) viewersWritten.set(planned, outcomes);
    }
    await Promise.all([
      addLetters(plan.letters),
      ...plan.historyBatches.map((batch) => storeHistory(batch, viewersWritten)),
    ]);
    await settlement.finished();
  } finally {
    clearInterval(heartbeat);
  }
  return counts;

  async function storeHistory(
    { owner, views }: PlannedBatch,
    viewersWritten: ReadonlyMap<PlannedView, Promise<Outcomes>>,
  ): Promise<void> {
    const ready: PlannedView[] = [];
    for (const planned of views) {
      const outcome = outcomeOf(await viewersWritten.get(planned), planned);
      if (outcome.kind === "stored") ready.push(planned);
      else await endView(planned, outcome);
    }
    if (ready.length === 0) return;
    // Only the commit point tells that the store works: the first write may be nothing at all on some engine.
    const outcomes = await writer.write({ owner, views: ready }, store.writeHistory, deps.breaker.succeeded);
    for (const planned of ready) await endView(planned, outcomeOf(outcomes, planned));
  }

  async function endView(planned: PlannedView, outcome: Outcome): Promise<void> {
    if (outcome.kind === "refused") {
      const { detail } = outcome;
      await addLetters(
        planned.sources.map((source) => ({
          delivery: source.delivery,
          letter: refusedLetter(source, detail, rules),
        })),
      );
      return;
    }
    for (const { delivery } of planned.sources) {
      if (outcome.kind === "stored") settlement.succeeded(delivery);
      else settlement.failed(delivery);
    }
    if (outcome.kind === "stored") counts.stored += planned.sources.length;
  }

  function addLetters(letters: readonly PlannedLetter[]): Promise<void> {
    return writeLetters(letters, {
      deadLetters: queue.deadLetters,
      logger,
      landed({ delivery }) {
        counts.deadLettered++;
        settlement.succeeded(delivery);
      },
      failed: ({ delivery }) => settlement.failed(delivery),
    });
  }

  /** Messages that came back often come back ever later, so that those which nothing helps leave room for others. */
  async function giveBack(failed: readonly Delivery[]): Promise<void> {
    const byDelay = new Map<number, Delivery[]>();
    for (const delivery of failed) {
      const delayMs = giveBackDelayMs(delivery.deliveries);
      const same = byDelay.get(delayMs) ?? [];
      byDelay.set(delayMs, same);
      same.push(delivery);
    }
    for (const [delayMs, same] of byDelay)
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

async function planInSlices(deliveries: readonly Delivery[], rules: PlanRules): Promise<Plan> {
  const planner = createPlanner(rules);
  let sliceStartMs = performance.now();
  for (const delivery of deliveries) {
    planner.add(delivery);
    if (performance.now() - sliceStartMs < PLAN_SLICE_MS) continue;
    await turn();
    sliceStartMs = performance.now();
  }
  return planner.finish();
}

function outcomeOf(outcomes: Outcomes | undefined, planned: PlannedView): Outcome {
  return outcomes?.get(planned) ?? { kind: "unavailable" };
}
