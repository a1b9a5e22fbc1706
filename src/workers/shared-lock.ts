/**
 * A lock with shared and exclusive holders. Everything that a message makes its worker do holds it shared (reading the message,
 * writing its rows, writing its dead letters), so that a poison candidate can be tried under the exclusive lock, and nothing
 * else can be the cause when the worker dies.
 *
 *   shared (any number of holders) ----> `exclusive` is called: closed, new holders wait ----> the last holder ends: exclusive
 *      ^                                                                                           |
 *      +------------------------------------ its work has ended ----------------------------------+
 */
export interface SharedLock {
  /** Runs beside other shared holders; waits while an exclusive holder runs or waits. */
  shared<Result>(work: () => Promise<Result>): Promise<Result>;
  /**
   * Admits no new holders, waits until all shared ones have ended, and then runs. One caller at a time: it has to leave the
   * shared holders their share of time.
   */
  exclusive<Result>(work: () => Promise<Result>): Promise<Result>;
}

export function createSharedLock(): SharedLock {
  let holders = 0;
  let closed: PromiseWithResolvers<void> | null = null;
  let onEmpty: (() => void) | null = null;

  return {
    async shared(work) {
      while (closed !== null) await closed.promise;
      holders++;
      try {
        return await work();
      } finally {
        holders--;
        if (holders === 0) onEmpty?.();
      }
    },

    async exclusive(work) {
      if (closed !== null) throw new Error("the lock has an exclusive holder already");
      closed = Promise.withResolvers();
      try {
        if (holders > 0) await new Promise<void>((resolve) => (onEmpty = resolve));
        return await work();
      } finally {
        onEmpty = null;
        closed.resolve();
        closed = null;
      }
    },
  };
}
