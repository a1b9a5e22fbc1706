import { identityOf, type View } from "../domain/impression.ts";
import { decodeMessage, impressionsOf } from "../domain/queue-message.ts";
import { isExpired, judge } from "../domain/validation.ts";
import { laterReceived } from "../domain/versions.ts";
import type { Delivery } from "../ports/impression-queue.ts";
import {
  crashedDeadLetters,
  crashedWholeDeadLetter,
  type PlannedDeadLetter,
  type PlanRules,
  rejectedDeadLetter,
  type Source,
  unreadableDeadLetter,
} from "./dead-letters.ts";

/**
 * Pure: what to do with a pull. All messages are planned together, so that in a campaign the thousand viewers of one
 * post become a few batches of that post's partition.
 */

/** Rows and bytes in one batch; measured on Cassandra, larger ones gain nothing. */
const BATCH_ROWS_MAX = 100;
const BATCH_BYTES_MAX = 30 * 1024;
/** What a row weighs beside its texts: times, numbers and CQL framing. */
const ROW_OVERHEAD_BYTES = 64;

/** A view to store, and every impression of the pull that it stands for (exact duplicates and older versions). */
export interface PlannedView {
  readonly view: View;
  readonly sources: readonly Source[];
}

/** Rows of one partition. */
export interface PlannedBatch {
  /** The post of a viewers batch, the user of a history batch. */
  readonly owner: string;
  readonly views: readonly PlannedView[];
}

export interface Plan {
  readonly deadLetters: readonly PlannedDeadLetter[];
  readonly viewerBatches: readonly PlannedBatch[];
  readonly historyBatches: readonly PlannedBatch[];
  /** The message of each impression whose retention ended while it waited: acked without a trace but a count. */
  readonly expired: readonly Delivery[];
  /** The message of each view that was stored when the message came before. */
  readonly stored: readonly Delivery[];
}

/**
 * Plans a pull message by message, so that the caller can let the event loop go on in between: a full pull is some ten
 * milliseconds of parsing and judging.
 */
export interface Planner {
  /** A message that cannot be handled at all becomes one dead letter. Never throws. */
  add(delivery: Delivery): void;
  finish(): Plan;
}

export function createPlanner(rules: PlanRules): Planner {
  const deadLetters: PlannedDeadLetter[] = [];
  const views = new Map<string, { view: View; sources: Source[] }>();
  const expired: Delivery[] = [];
  const stored: Delivery[] = [];

  function addMessage(delivery: Delivery): void {
    const message = decodeMessage(delivery.body);
    if (message.kind === "unreadable") {
      deadLetters.push({ delivery, letter: unreadableDeadLetter(delivery, message.detail, rules) });
      return;
    }
    const isStored = rules.isStored?.(delivery) === true;
    for (const queued of impressionsOf(message.submissions)) {
      const { index, userId, receivedAtUs, impression, isReplay } = queued;
      const judgement = judge(userId, receivedAtUs, impression, rules.retentionMs);
      if (judgement.kind === "rejected") {
        const letter = rejectedDeadLetter(delivery, queued, judgement.rejection, rules);
        deadLetters.push({ delivery, letter, isReplay });
      } else if (isExpired(judgement.view, rules.expiryMs, rules.retentionMs)) {
        expired.push(delivery);
      } else if (isStored) {
        stored.push(delivery);
      } else {
        addView(views, { delivery, index, view: judgement.view });
      }
    }
  }

  return {
    add(delivery) {
      try {
        addMessage(delivery);
      } catch (error) {
        // Nothing above should throw, whatever a message holds; if it does, that message must not block its neighbours.
        const detail = `the message could not be handled: ${error instanceof Error ? error.message : String(error)}`;
        deadLetters.push({ delivery, letter: unreadableDeadLetter(delivery, detail, rules) });
      }
    },
    finish() {
      const planned = [...views.values()];
      return {
        deadLetters,
        viewerBatches: batchesBy(planned, (view) => view.postId),
        historyBatches: batchesBy(planned, (view) => view.userId),
        expired,
        stored,
      };
    },
  };
}

function addView(views: Map<string, { view: View; sources: Source[] }>, source: Source): void {
  const identity = identityOf(source.view);
  const known = views.get(identity);
  if (known === undefined) {
    views.set(identity, { view: source.view, sources: [source] });
  } else {
    known.view = laterReceived(known.view, source.view);
    known.sources.push(source);
  }
}

function batchesBy(views: readonly PlannedView[], ownerOf: (view: View) => string): PlannedBatch[] {
  const batches: PlannedBatch[] = [];
  const filling = new Map<string, { views: PlannedView[]; bytes: number }>();
  for (const planned of views) {
    const owner = ownerOf(planned.view);
    const bytes = rowBytes(planned.view);
    let batch = filling.get(owner);
    if (
      batch === undefined ||
      batch.views.length >= BATCH_ROWS_MAX ||
      batch.bytes + bytes > BATCH_BYTES_MAX
    ) {
      batch = { views: [], bytes: 0 };
      filling.set(owner, batch);
      batches.push({ owner, views: batch.views });
    }
    batch.views.push(planned);
    batch.bytes += bytes;
  }
  return batches;
}

function rowBytes(view: View): number {
  return (
    Buffer.byteLength(view.userId) +
    Buffer.byteLength(view.postId) +
    Buffer.byteLength(view.surface ?? "") +
    ROW_OVERHEAD_BYTES
  );
}

/** Plans nothing but the dead letters of a message that kills its workers. */
export function createCrashPlanner(
  rules: PlanRules,
  step: "DEAD_LETTER_EACH" | "DEAD_LETTER_WHOLE",
  deaths: readonly string[],
): Planner {
  const deadLetters: PlannedDeadLetter[] = [];
  return {
    add(delivery) {
      if (step === "DEAD_LETTER_WHOLE") deadLetters.push(crashedWholeDeadLetter(delivery, deaths, rules));
      else deadLetters.push(...crashedDeadLetters(delivery, deaths, rules));
    },
    finish: () => ({
      deadLetters,
      viewerBatches: [],
      historyBatches: [],
      expired: [],
      stored: [],
    }),
  };
}
