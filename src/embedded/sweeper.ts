/** Runs a sweep again and again while the process lives; does not keep it alive. */
export interface Sweeper {
  /** Starts no more sweeps and waits for the one that runs. Never rejects. */
  stop(): Promise<void>;
}

/**
 * @param sweep one round of cleaning up. What it throws is passed over: nothing depends on it, and the next round
 * tries again.
 */
export function startSweeper(sweep: () => Promise<unknown>, intervalMs: number): Sweeper {
  let running: Promise<void> | null = null;
  const timer = setInterval(() => {
    running ??= sweep()
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => {
        running = null;
      });
  }, intervalMs);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
