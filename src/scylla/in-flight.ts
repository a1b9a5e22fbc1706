import { StoreUnavailableError } from "../ports/errors.ts";

/** Requests that may wait for a slot; more than that means that the database is far behind what is asked of it. */
const WAITING_MAX = 10_000;

/** Bounds how many requests are on their way at once; slots are given in the order of asking. */
export interface InFlightLimit {
  /** @throws StoreUnavailableError too many are waiting already. */
  run<Result>(request: () => Promise<Result>): Promise<Result>;
  /** Resolves once nothing is on its way. */
  idle(): Promise<void>;
}

export function createInFlightLimit(max: number): InFlightLimit {
  let running = 0;
  const waiting: (() => void)[] = [];
  let whenIdle: PromiseWithResolvers<void> | null = null;

  function release(): void {
    const next = waiting.shift();
    if (next !== undefined) {
      // The slot goes from one request to the next; nobody else can take it in between.
      next();
      return;
    }
    running--;
    if (running > 0) return;
    whenIdle?.resolve();
    whenIdle = null;
  }

  return {
    async run(request) {
      if (running < max) running++;
      else if (waiting.length < WAITING_MAX) await new Promise<void>((resolve) => waiting.push(resolve));
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
