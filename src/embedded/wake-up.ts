/** Lets pulls wait for something to happen, without asking again and again. */
export interface WakeUp {
  /** Resolves after `timeoutMs`, when `signal` aborts, or when `all` is called, whatever comes first. */
  wait(timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Wakes all waiting calls. Each looks again by itself: there may be nothing left for the last of them. */
  all(): void;
}

/** The longest delay that a Node timer takes. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export function createWakeUp(): WakeUp {
  const sleepers = new Set<() => void>();
  return {
    wait: (timeoutMs, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) {
          resolve();
          return;
        }
        const wake = () => {
          clearTimeout(timer);
          signal.removeEventListener("abort", wake);
          sleepers.delete(wake);
          resolve();
        };
        // Rounded up: a timer that fires a little early would only be set again.
        const timer = setTimeout(wake, Math.min(TIMER_MS_MAX, Math.max(1, Math.ceil(timeoutMs))));
        signal.addEventListener("abort", wake);
        sleepers.add(wake);
      }),
    all() {
      for (const wake of [...sleepers]) wake();
    },
  };
}
