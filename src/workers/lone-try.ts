import type { Delivery } from "../ports/impression-queue.ts";
import { LONE_DEATHS_MAX, type LoneStep, loneStepOf, othersIn } from "./isolation.ts";
import { createCrashPlanner } from "./plan.ts";
import { handlePull, type PullHandlerDeps } from "./pull-handler.ts";

/** Tries one suspect with a durable note that the try has begun. Never throws. */
export type LoneTry = (delivery: Delivery) => Promise<void>;

/**
 * @param deps.pull how a message is stored with nothing beside it.
 * @param deps.self names this worker process among all that ever were.
 */
export function createLoneTry(deps: {
  readonly pull: PullHandlerDeps;
  readonly self: string;
  /** Never throws. */
  readonly nak: (delivery: Delivery) => Promise<void>;
}): LoneTry {
  const { self } = deps;
  const { queue, logger } = deps.pull;
  const { attempts } = queue;

  return async function tryAlone(delivery) {
    const { sequence } = delivery;
    let others: readonly string[];
    let step: LoneStep;
    try {
      const begun = await attempts.read(sequence);
      others = othersIn(begun, self);
      step = loneStepOf(begun, self);
      await attempts.write(sequence, [...others, self]);
    } catch (error) {
      // Without the note a message that kills would never be found out.
      logger.warn({ err: error, sequence }, "a suspect could not be noted down: it is not tried now");
      await deps.nak(delivery);
      return;
    }
    deps.pull.counts.triedAlone++;
    if (step === "TRY") {
      await handlePull([delivery], deps.pull);
      await note(sequence, []);
      return;
    }
    const { nacked } = await handlePull([delivery], {
      ...deps.pull,
      newPlanner: (rules) => createCrashPlanner(rules, step, others),
    });
    // What could not be dead-lettered (they may be full) stays found out: it must not kill again.
    await note(sequence, nacked === 0 ? [] : others);
    if (nacked === 0) logger.error({ sequence, workers: others }, CONVICTED);
  };

  /** Replaces the note; one that stands by mistake accuses nobody as long as this worker lives. */
  async function note(sequence: number, workers: readonly string[]): Promise<void> {
    try {
      await attempts.write(sequence, workers);
    } catch (error) {
      logger.warn({ err: error, sequence }, "the note of a lone try could not be taken away");
    }
  }
}

const CONVICTED = `a message has ended ${LONE_DEATHS_MAX} workers that tried it alone: it is dead-lettered as CRASHED_WORKER`;
