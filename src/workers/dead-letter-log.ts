import type { DeadLetterReason } from "../domain/dead-letter.ts";
import type { Logger } from "../telemetry/logger.ts";

/** Between two lines: junk comes in thousands of messages, and one line says as much. */
const SUMMARY_INTERVAL_MS = 10_000;
/** Messages that a line names. */
const SEQUENCES_MAX = 10;

/** What became of the bad impressions of a pull. */
export interface DeadLetterCounters {
  readonly deadLettered: number;
  /** Of these, those that are counted and have no dead letter of their own. */
  readonly omitted: number;
  /** Messages nacked. */
  readonly nacked: number;
  readonly reasons: Readonly<Partial<Record<DeadLetterReason, number>>>;
  /** Messages with something dead-lettered in them, by their place in the stream. */
  readonly sequences: readonly number[];
}

/**
 * Says in the log what the workers dead-letter, and that they cannot: the first time at once, and then, every 10 s for as
 * long as there is any, how much more there was.
 */
export interface DeadLetterLog {
  deadLettered(counts: DeadLetterCounters): void;
  failed(error: unknown, letters: number, sequence: number | undefined): void;
  /** Says now what has not been said. */
  close(): void;
}

export function createDeadLetterLog(logger: Logger): DeadLetterLog {
  const deadLettered = createSummary<DeadLetterCounters>(sumOf, (counts) =>
    logger.warn(sumOf(NONE, counts), "impressions were dead-lettered"),
  );
  const failed = createSummary<{ err: unknown; letters: number; sequence: number | undefined }>(
    (a, b) => ({ ...b, letters: a.letters + b.letters }),
    (failure) => logger.error(failure, "dead letters could not be written"),
  );
  return {
    deadLettered: deadLettered.add,
    failed: (err, letters, sequence) => failed.add({ err, letters, sequence }),
    close() {
      deadLettered.close();
      failed.close();
    },
  };
}

const NONE: DeadLetterCounters = { deadLettered: 0, omitted: 0, nacked: 0, reasons: {}, sequences: [] };

function sumOf(a: DeadLetterCounters, b: DeadLetterCounters): DeadLetterCounters {
  const reasons = { ...a.reasons };
  for (const [reason, count] of Object.entries(b.reasons) as [DeadLetterReason, number][])
    reasons[reason] = (reasons[reason] ?? 0) + count;
  return {
    deadLettered: a.deadLettered + b.deadLettered,
    omitted: a.omitted + b.omitted,
    nacked: a.nacked + b.nacked,
    reasons,
    sequences: [...a.sequences, ...b.sequences].slice(0, SEQUENCES_MAX),
  };
}

/** Says the first one at once and the sum of those that follow every SUMMARY_INTERVAL_MS, until there are none. */
function createSummary<Item>(sum: (a: Item, b: Item) => Item, say: (item: Item) => void) {
  let unsaid: Item | null = null;
  let timer: NodeJS.Timeout | null = null;

  function summarize(): void {
    timer = null;
    if (unsaid === null) return;
    const said = unsaid;
    unsaid = null;
    sayNow(said);
  }

  function sayNow(item: Item): void {
    say(item);
    timer = setTimeout(summarize, SUMMARY_INTERVAL_MS);
    timer.unref();
  }

  return {
    add(item: Item): void {
      if (timer === null) sayNow(item);
      else unsaid = unsaid === null ? item : sum(unsaid, item);
    },
    close(): void {
      if (timer !== null) clearTimeout(timer);
      summarize();
      if (timer !== null) clearTimeout(timer);
    },
  };
}
