import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../domain/time.ts";
import type { Delivery, ImpressionQueue } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Breaker } from "./breaker.ts";
import type { ConcurrencyLimit } from "./concurrency.ts";
import { type PlannedBatch, type PlannedLetter, type PlannedView, planPull, refusedLetter } from "./plan.ts";
import { createSettlement, type Settlement } from "./settlement.ts";
import { backoffMs, giveBackDelayMs, verdictOf } from "./verdict.ts";

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

type Outcome =
  | { readonly kind: "stored" }
  | { readonly kind: "unavailable" }
  | { readonly kind: "refused"; readonly detail: string };

/**
 * Stores a pull and settles each of its messages: acknowledged when all of its impressions are stored or
 * dead-lettered, given back otherwise. Never throws: what cannot be settled is delivered again.
 *
 * The order inside the pull is the store model's: a post's viewers first, then, for each user, the history that makes
 * the views visible. A history batch waits only for the viewers of its own views.
 */
export async function handlePull(
  deliveries: readonly Delivery[],
  deps: PullHandlerDeps,
): Promise<PullCounts> {
  const rules = { stream: deps.queue.stream, retentionMs: deps.retentionMs, nowMs: deps.clock.nowMs() };
  const plan = planPull(deliveries, rules);
  const counts: PullCounts = { stored: 0, deadLettered: 0, expired: plan.expired, givenBack: 0 };

  const settlement = createSettlement(deliveries, {
    ack: (done) => quietly("acknowledge", () => deps.queue.ack(done)),
    giveBack: (failed) => {
      counts.givenBack += failed.length;
      return quietly("give back", () => deps.queue.nak(failed, giveBackDelayMs(deps.random())));
    },
  });
  for (const { delivery } of plan.letters) settlement.expect(delivery);
  for (const batch of plan.historyBatches) {
    for (const planned of batch.views)
      for (const { delivery } of planned.sources) settlement.expect(delivery);
  }
  settlement.begin();

  const heartbeat = setInterval(() => {
    void quietly("extend", () => deps.queue.extend(settlement.unsettled()));
  }, deps.extendIntervalMs);
  try {
    const viewersWritten = new Map<PlannedView, Promise<Outcome>>();
    for (const batch of plan.viewerBatches) {
      const outcomes = writeBatch(batch, (owner, views) => deps.store.writeViewers(owner, views));
      for (const planned of batch.views)
        viewersWritten.set(
          planned,
          outcomes.then((all) => outcomeOf(all, planned)),
        );
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
    viewersWritten: ReadonlyMap<PlannedView, Promise<Outcome>>,
  ): Promise<void> {
    const ready: PlannedView[] = [];
    for (const planned of views) {
      const outcome = (await viewersWritten.get(planned)) ?? { kind: "unavailable" };
      if (outcome.kind === "stored") ready.push(planned);
      else await endView(planned, outcome);
    }
    if (ready.length === 0) return;
    const outcomes = await writeBatch({ owner, views: ready }, (userId, rows) =>
      deps.store.writeHistory(userId, rows),
    );
    for (const planned of ready) await endView(planned, outcomeOf(outcomes, planned));
  }

  async function endView(planned: PlannedView, outcome: Outcome): Promise<void> {
    if (outcome.kind === "refused") {
      await addLetters(
        planned.sources.map((source) => ({
          delivery: source.delivery,
          letter: refusedLetter(source, outcome.detail, rules),
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

  /** One write of one partition, tried again while that helps; a refused row is found by writing them one by one. */
  async function writeBatch(
    batch: PlannedBatch,
    write: (owner: string, views: readonly PlannedView["view"][]) => Promise<void>,
  ): Promise<ReadonlyMap<PlannedView, Outcome>> {
    for (let attempt = 1; ; attempt++) {
      try {
        await deps.limit.run(() =>
          write(
            batch.owner,
            batch.views.map(({ view }) => view),
          ),
        );
        deps.breaker.succeeded();
        return new Map(batch.views.map((planned) => [planned, { kind: "stored" }]));
      } catch (error) {
        const verdict = verdictOf(error, attempt, deps.breaker.isOpen());
        if (verdict === "ISOLATE") return await isolate(batch, write, error);
        deps.breaker.failed();
        deps.logger.debug({ err: error, attempt, verdict }, "a store write failed");
        if (verdict === "GIVE_BACK")
          return new Map(batch.views.map((planned) => [planned, { kind: "unavailable" }]));
        await sleep(backoffMs(attempt, deps.random()));
      }
    }
  }

  async function isolate(
    batch: PlannedBatch,
    write: (owner: string, views: readonly PlannedView["view"][]) => Promise<void>,
    error: unknown,
  ): Promise<ReadonlyMap<PlannedView, Outcome>> {
    const [only, ...others] = batch.views;
    if (only !== undefined && others.length === 0) {
      const detail = error instanceof Error ? error.message : "the store refuses this row";
      return new Map([[only, { kind: "refused", detail }]]);
    }
    const alone = await Promise.all(
      batch.views.map((planned) => writeBatch({ owner: batch.owner, views: [planned] }, write)),
    );
    return new Map(alone.flatMap((outcomes) => [...outcomes]));
  }

  async function addLetters(letters: readonly PlannedLetter[]): Promise<void> {
    if (letters.length === 0) return;
    let added = false;
    try {
      await deps.queue.deadLetters.add(letters.map(({ letter }) => letter));
      added = true;
      counts.deadLettered += letters.length;
    } catch (error) {
      // The messages stay in the queue: nothing is lost, and the healthy flow goes on.
      deps.logger.error({ err: error, letters: letters.length }, "dead letters could not be written");
    }
    for (const { delivery } of letters) settle(settlement, delivery, added);
  }

  async function quietly(what: string, call: () => Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      deps.logger.warn({ err: error }, `could not ${what}: the messages will be delivered again`);
    }
  }
}

function settle(settlement: Settlement, delivery: Delivery, succeeded: boolean): void {
  if (succeeded) settlement.succeeded(delivery);
  else settlement.failed(delivery);
}

function outcomeOf(outcomes: ReadonlyMap<PlannedView, Outcome>, planned: PlannedView): Outcome {
  return outcomes.get(planned) ?? { kind: "unavailable" };
}
