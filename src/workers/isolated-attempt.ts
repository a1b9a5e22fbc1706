import type { Delivery } from "../ports/impression-queue.ts";
import { ISOLATED_DEATHS_MAX, type IsolationStep, isolationStepOf, othersIn } from "./isolation-step.ts";
import { createCrashPlanner } from "./plan.ts";
import { handlePull, type PullHandlerDeps } from "./pull-handler.ts";

/** Attempts one poison candidate, after a durable record that the attempt has begun. Never throws. */
export type IsolatedAttempt = (delivery: Delivery) => Promise<void>;

/**
 * @param deps.pull how a message is stored with no other in flight.
 * @param deps.self names this worker process among all that ever were.
 */
export function createIsolatedAttempt(deps: {
  readonly pull: PullHandlerDeps;
  readonly self: string;
  /** Never throws. */
  readonly nak: (delivery: Delivery) => Promise<void>;
}): IsolatedAttempt {
  const { self } = deps;
  const { queue, logger } = deps.pull;
  const { attempts } = queue;

  return async function tryAlone(delivery) {
    const { sequence } = delivery;
    let others: readonly string[];
    let step: IsolationStep;
    try {
      const begun = await attempts.read(sequence);
      others = othersIn(begun, self);
      step = isolationStepOf(begun, self);
      await attempts.write(sequence, [...others, self]);
    } catch (error) {
      // Without the record a poison message would never be recognised.
      logger.warn(
        { err: error, sequence },
        "the attempt at a poison candidate could not be recorded: it is not made now",
      );
      await deps.nak(delivery);
      return;
    }
    deps.pull.counters.isolatedAttempts++;
    if (step === "TRY") {
      await handlePull([delivery], deps.pull);
      await record(sequence, []);
      return;
    }
    const { nacked } = await handlePull([delivery], {
      ...deps.pull,
      newPlanner: (rules) => createCrashPlanner(rules, step, others),
    });
    // A message that could not be dead-lettered (they may be full) keeps its record: it must not kill again.
    await record(sequence, nacked === 0 ? [] : others);
    if (nacked === 0) logger.error({ sequence, workers: others }, POISON_FOUND);
  };

  /** Replaces the message's attempt record; an empty list deletes it. A stale record of this worker counts only after its death. */
  async function record(sequence: number, workers: readonly string[]): Promise<void> {
    try {
      await attempts.write(sequence, workers);
    } catch (error) {
      logger.warn({ err: error, sequence }, "an attempt record could not be replaced");
    }
  }
}

const POISON_FOUND = `a message has ended ${ISOLATED_DEATHS_MAX} workers in isolated attempts: it is dead-lettered as CRASHED_WORKER`;
