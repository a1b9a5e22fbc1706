/** Bounds how many tasks run at once; slots are given in the order of asking. */
export interface InFlightLimit {
  /**
   * @param signal aborted, the task is not begun any more, and stops waiting for its slot.
   * @throws the error of `tooMany` where too many are waiting already; the signal's reason.
   */
  run<Result>(task: () => Promise<Result>, signal?: AbortSignal): Promise<Result>;
  /** Resolves once nothing runs. */
  idle(): Promise<void>;
}

/**
 * @param max tasks that run at once.
 * @param waiting.max tasks that may wait for a slot; what comes beyond that is refused with `waiting.tooMany`. No limit
 * unless given: then the caller bounds what it asks.
 */
export function createInFlightLimit(
  max: number,
  waiting: { readonly max: number; readonly tooMany: () => Error } = NO_LIMIT,
): InFlightLimit {
  let running = 0;
  /** In the order of asking. */
  const queue = new Set<() => void>();
  let whenIdle: PromiseWithResolvers<void> | null = null;

  function release(): void {
    const [next] = queue;
    if (next !== undefined) {
      queue.delete(next);
      // The slot goes from one task to the next; no other task can take it in between.
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
        queue.delete(take);
        reject(signal?.reason);
      };
      queue.add(take);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }

  return {
    async run(task, signal) {
      signal?.throwIfAborted();
      if (running < max) running++;
      else if (queue.size < waiting.max) await slot(signal);
      else throw waiting.tooMany();
      try {
        return await task();
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

const NO_LIMIT = { max: Number.POSITIVE_INFINITY, tooMany: () => new Error("there is no limit") };
