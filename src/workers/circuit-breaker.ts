/** Failed requests in a row, over all loops of the process, after which pulling pauses. */
const FAILURES_TO_OPEN = 10;
const PROBE_DELAY_MS_MIN = 500;
const PROBE_DELAY_MS_MAX = 15_000;

/**
 * Stops the workers from pulling while the store is down, so that the backlog waits in the queue instead of in
 * memory.
 *
 *   closed ----> FAILURES_TO_OPEN requests have failed in a row ----> open: while `closed` is waited for, a probe after each
 *     ^                                                                |    delay, 0.5 s doubling to 15 s
 *     +---- a probe finds the store healthy, or a request succeeds ----+
 */
export interface CircuitBreaker {
  succeeded(): void;
  /** @param error several writes of one request report the same error object; it counts once. */
  failed(error: unknown): void;
  isOpen(): boolean;
  /** Resolves when the store may be used again, or `signal` aborts. At once while the breaker is closed. */
  closed(signal: AbortSignal): Promise<void>;
}

export function createCircuitBreaker(deps: {
  /** Whether the store answers now. */
  readonly probe: () => Promise<boolean>;
  readonly sleep: (delayMs: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  readonly onChange: (open: boolean) => void;
}): CircuitBreaker {
  let failures = 0;
  const counted = new WeakSet<object>();
  let open = false;

  function close(): void {
    failures = 0;
    if (!open) return;
    open = false;
    deps.onChange(false);
  }

  return {
    succeeded: close,
    failed(error) {
      if (typeof error === "object" && error !== null) {
        if (counted.has(error)) return;
        counted.add(error);
      }
      failures++;
      if (open || failures < FAILURES_TO_OPEN) return;
      open = true;
      deps.onChange(true);
    },
    isOpen: () => open,
    async closed(signal) {
      let delayMs = PROBE_DELAY_MS_MIN;
      while (open && !signal.aborted) {
        await deps.sleep(delayMs * (0.5 + deps.random() / 2), signal);
        if (open && !signal.aborted && (await deps.probe())) close();
        delayMs = Math.min(delayMs * 2, PROBE_DELAY_MS_MAX);
      }
    },
  };
}
