import type { Delivery } from "../ports/impression-queue.ts";
import type { SharedLock } from "./shared-lock.ts";

/** Candidates of one process that wait for their attempt, an eighth of what it may have in flight. */
const CANDIDATES_MAX = 500;
const CANDIDATE_BYTES_MAX = 1024 * 1024;
/** Candidates are attempted one after the other for this long; then the common flow has its turn. */
const TURN_MS = 500;

/**
 * Poison candidates that wait for their isolated attempt, one at a time.
 *
 *   idle ----> a candidate is admitted ----> waiting for the store ----> attempts under the exclusive lock, for TURN_MS
 *    ^                                          ^                                  |
 *    |                                          +------ more wait: a pause as long as the attempts took
 *    +---- none waits, or closed ------------------------------------------------- |
 */
export interface CandidateQueue {
  /** Queues them. @returns those for which there is no room. */
  admit(candidates: readonly Delivery[]): readonly Delivery[];
  /** Those that wait. */
  waiting(): readonly Delivery[];
  /** Queues nothing any more and starts no attempt. @returns those that waited. */
  close(): readonly Delivery[];
  /** Resolves when no attempt runs. */
  idle(): Promise<void>;
}

export function createCandidateQueue(deps: {
  readonly lock: Pick<SharedLock, "exclusive">;
  /** Never throws. */
  readonly attempt: (candidate: Delivery) => Promise<void>;
  /** Resolves when the store may be used, or the worker stops. */
  readonly storeIsUp: () => Promise<void>;
  readonly sleep: (delayMs: number) => Promise<void>;
  readonly monotonicMs: () => number;
}): CandidateQueue {
  const { monotonicMs } = deps;
  const waiting: Delivery[] = [];
  let bytes = 0;
  let running: Promise<void> | null = null;
  let closed = false;

  function next(): Delivery | undefined {
    const candidate = closed ? undefined : waiting.shift();
    bytes -= candidate?.body.byteLength ?? 0;
    return candidate;
  }

  async function takeTurn(): Promise<void> {
    const startedMs = monotonicMs();
    do {
      const candidate = next();
      if (candidate === undefined) return;
      await deps.attempt(candidate);
    } while (monotonicMs() - startedMs < TURN_MS);
  }

  async function run(): Promise<void> {
    while (waiting.length > 0 && !closed) {
      await deps.storeIsUp();
      const startedMs = monotonicMs();
      await deps.lock.exclusive(takeTurn);
      // The common flow gets as much time as the candidates had: one that hangs does not stop it for good.
      await deps.sleep(monotonicMs() - startedMs);
    }
    running = null;
  }

  return {
    admit(candidates) {
      const rejected: Delivery[] = [];
      for (const candidate of candidates) {
        const size = candidate.body.byteLength;
        const hasRoom =
          waiting.length === 0 || (waiting.length < CANDIDATES_MAX && bytes + size <= CANDIDATE_BYTES_MAX);
        if (closed || !hasRoom) {
          rejected.push(candidate);
          continue;
        }
        waiting.push(candidate);
        bytes += size;
      }
      if (waiting.length > 0) running ??= run();
      return rejected;
    },

    waiting: () => waiting,

    close() {
      closed = true;
      return waiting.splice(0);
    },

    async idle() {
      await running;
    },
  };
}
