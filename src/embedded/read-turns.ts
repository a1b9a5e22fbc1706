import type { Clock } from "../domain/time.ts";

/**
 * Lets the event loop go round between reads. They run on it, and one request may ask for hundreds: without this they
 * would run one after the other, and nothing else in the process until the last of them.
 */
export interface ReadTurns {
  /** Resolves when the next read may run: at once, unless the reads of this turn have had their time. */
  next(): Promise<void>;
  /** Runs a read on the time of this turn. */
  timed<Result>(read: () => Result): Result;
}

/** What the reads take of one turn of the event loop; the last of them may take longer. */
const TURN_MS_MAX = 4;

export function createReadTurns({ monotonicMs }: Clock): ReadTurns {
  let takenMs = 0;
  /** The end of this turn; null where no read has run in it. */
  let turnEnd: Promise<void> | null = null;

  function endOfTurn(): Promise<void> {
    turnEnd ??= new Promise((resolve) => {
      setImmediate(() => {
        takenMs = 0;
        turnEnd = null;
        resolve();
      });
    });
    return turnEnd;
  }

  return {
    async next() {
      // Again and again: those who waited longer may have used up the new turn.
      while (takenMs >= TURN_MS_MAX) await endOfTurn();
    },

    timed(read) {
      void endOfTurn();
      const startedMs = monotonicMs();
      try {
        return read();
      } finally {
        takenMs += monotonicMs() - startedMs;
      }
    },
  };
}
