import type { Delivery } from "../ports/impression-queue.ts";
import type { SharedLock } from "./shared-lock.ts";

/** Suspects of one process that wait for their turn, an eighth of what it may have in flight. */
const SUSPECTS_MAX = 500;
const SUSPECT_BYTES_MAX = 1024 * 1024;
/** Suspects are tried one after the other for this long; then the others have their turn. */
const TURN_MS = 500;

/** Where suspects wait until they are tried alone, one at a time. */
export interface Quarantine {
  /** Takes them in. @returns those for which there is no room. */
  admit(suspects: readonly Delivery[]): readonly Delivery[];
  /** Those that wait. */
  waiting(): readonly Delivery[];
  /** Takes nobody in any more and starts no try. @returns those that waited. */
  close(): readonly Delivery[];
  /** Resolves when no try runs. */
  idle(): Promise<void>;
}

export function createQuarantine(deps: {
  readonly lock: Pick<SharedLock, "exclusive">;
  /** Never throws. */
  readonly tryAlone: (suspect: Delivery) => Promise<void>;
  /** Resolves when the store may be used, or the worker stops. */
  readonly storeIsUp: () => Promise<void>;
  readonly sleep: (delayMs: number) => Promise<void>;
  readonly monotonicMs: () => number;
}): Quarantine {
  const { monotonicMs } = deps;
  const waiting: Delivery[] = [];
  let bytes = 0;
  let running: Promise<void> | null = null;
  let closed = false;

  function next(): Delivery | undefined {
    const suspect = closed ? undefined : waiting.shift();
    bytes -= suspect?.body.byteLength ?? 0;
    return suspect;
  }

  async function takeTurn(): Promise<void> {
    const startedMs = monotonicMs();
    do {
      const suspect = next();
      if (suspect === undefined) return;
      await deps.tryAlone(suspect);
    } while (monotonicMs() - startedMs < TURN_MS);
  }

  async function run(): Promise<void> {
    while (waiting.length > 0 && !closed) {
      await deps.storeIsUp();
      const startedMs = monotonicMs();
      await deps.lock.exclusive(takeTurn);
      // Everybody else has as much time as the suspects had: one that hangs does not stop the flow for good.
      await deps.sleep(monotonicMs() - startedMs);
    }
    running = null;
  }

  return {
    admit(suspects) {
      const rejected: Delivery[] = [];
      for (const suspect of suspects) {
        const size = suspect.body.byteLength;
        const hasRoom =
          waiting.length === 0 || (waiting.length < SUSPECTS_MAX && bytes + size <= SUSPECT_BYTES_MAX);
        if (closed || !hasRoom) {
          rejected.push(suspect);
          continue;
        }
        waiting.push(suspect);
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
