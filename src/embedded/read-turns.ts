import type { Clock } from "../domain/time.ts";

/**
 * Lets the event loop go round between reads. They run on it, and one request may ask for hundreds: without this they
 * would run one after the other, and nothing else in the process until the last of them.
 */
export interface ReadTurns {
  /**
   * Runs a read when its turn has come, in the order of asking: in this turn of the event loop, or in a later one where
   * the reads of this one have had their time.
   *
   * @throws what `unavailable` makes, where too many reads wait already; the signal's reason; what the read throws.
   */
  run<Result>(read: () => Result, options: ReadTurnOptions): Promise<Result>;
}

export interface ReadTurnOptions {
  /** The error of the port that the read belongs to. */
  readonly unavailable: (reason: string) => Error;
  /** Aborted, the read does not run any more. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * What reads take of one turn of the event loop. The last of them may take longer: a page 10 ms, so that a turn has about
 * 15 ms at most.
 */
export const READ_TURN_MS_MAX = 4;
/** Reads that may wait for their turn. More than that means that the process is far behind what is asked of it. */
export const READS_WAITING_MAX = 10_000;

export function createReadTurns({ monotonicMs }: Pick<Clock, "monotonicMs">): ReadTurns {
  /** In the order of asking. */
  const waiting: (() => void)[] = [];
  let takenMs = 0;
  let isTurnBegun = false;
  let isDrainComing = false;

  /** Looks at the time before each read: reads that ask at once all find that it is not used up. */
  function drain(): void {
    isDrainComing = false;
    while (takenMs < READ_TURN_MS_MAX) {
      const next = waiting.shift();
      if (next === undefined) return;
      next();
    }
  }

  /** Goes on in this turn, once the caller is done; where the time is used up, the next turn does. */
  function drainSoon(): void {
    if (isDrainComing || takenMs >= READ_TURN_MS_MAX) return;
    isDrainComing = true;
    queueMicrotask(drain);
  }

  function timed<Result>(read: () => Result): Result {
    if (!isTurnBegun) setImmediate(endTurn);
    isTurnBegun = true;
    const startedMs = monotonicMs();
    try {
      return read();
    } finally {
      takenMs += monotonicMs() - startedMs;
    }
  }

  function endTurn(): void {
    isTurnBegun = false;
    takenMs = 0;
    drain();
  }

  return {
    run(read, { unavailable, signal }) {
      return new Promise((resolve, reject) => {
        if (waiting.length >= READS_WAITING_MAX) {
          reject(unavailable(`more than ${READS_WAITING_MAX} reads wait for their turn`));
          return;
        }
        waiting.push(() => {
          try {
            signal?.throwIfAborted();
            resolve(timed(read));
          } catch (error) {
            reject(error);
          }
        });
        drainSoon();
      });
    },
  };
}
