import { StoreUnavailableError } from "../ports/errors.ts";

/** Requests that may wait for a slot; more than that means that the database is far behind what is asked of it. */
const WAITING_MAX = 10_000;

/** Bounds how many requests are on their way at once; slots are given in the order of asking. */
export interface InFlightLimit {
  /**
   * @param signal aborted, the request is not begun any more, and stops waiting for its slot.
   * @throws StoreUnavailableError too many are waiting already; the signal's reason.
   */
  run<Result>(request: () => Promise<Result>, signal?: AbortSignal): Promise<Result>;
  /** Resolves once nothing is on its way. */
  idle(): Promise<void>;
}

export function createInFlightLimit(max: number): InFlightLimit {
  let running = 0;
  /** In the order of asking. */
  const waiting = new Set<() => void>();
  let whenIdle: PromiseWithResolvers<void> | null = null;

  function release(): void {
    const [next] = waiting;
    if (next !== undefined) {
      waiting.delete(next);
      // The slot goes from one request to the next; no other request can take it in between.
      next();
      return;
    }
    running--;
    if (running > 0) return;
    whenIdle?.resolve();
    whenIdle = null;
  }

  function slot(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const take = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        waiting.delete(take);
        reject(signal?.reason);
      };
      waiting.add(take);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }

  return {
    async run(request, signal) {
      signal?.throwIfAborted();
      if (running < max) running++;
      else if (waiting.size < WAITING_MAX) await slot(signal);
      else throw new StoreUnavailableError(`more than ${WAITING_MAX} requests wait for the database`);
      try {
        return await request();
      } finally {
        release();
      }
    },
    async idle() {
      if (running === 0) return;
      whenIdle ??= Promise.withResolvers<void>();
      await whenIdle.promise;
    },
  };
}
