/**
 * Lets work in together, or one work alone. Everything that a message makes its worker do goes through it (reading it,
 * writing its rows, writing its dead letters), so that a suspect can be tried while nothing else can be blamed.
 */
export interface Turnstile {
  /** Runs beside others; waits while somebody is alone, or waits to be. */
  together<Result>(work: () => Promise<Result>): Promise<Result>;
  /**
   * Lets nobody else in, waits until all who are inside have left, and then runs. For one caller at a time: it has to
   * leave the others their share.
   */
  alone<Result>(work: () => Promise<Result>): Promise<Result>;
}

export function createTurnstile(): Turnstile {
  let inside = 0;
  let closed: PromiseWithResolvers<void> | null = null;
  let onEmpty: (() => void) | null = null;

  return {
    async together(work) {
      while (closed !== null) await closed.promise;
      inside++;
      try {
        return await work();
      } finally {
        inside--;
        if (inside === 0) onEmpty?.();
      }
    },

    async alone(work) {
      if (closed !== null) throw new Error("somebody is alone already");
      closed = Promise.withResolvers();
      try {
        if (inside > 0) await new Promise<void>((resolve) => (onEmpty = resolve));
        return await work();
      } finally {
        onEmpty = null;
        closed.resolve();
        closed = null;
      }
    },
  };
}
