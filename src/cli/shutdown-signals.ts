import type { Clock } from "../domain/time.ts";
import type { Logger } from "../telemetry/logger.ts";

/** Under npm one Ctrl-C arrives twice, from the terminal and from npm: only a later one is a second wish. */
export const SAME_WISH_MS = 1_000;

/**
 * Stops the service on SIGTERM or SIGINT and exits: 0 when everything stopped, 1 when it did not within the deadline
 * (what is acknowledged is durable all the same). A second signal, a second later, exits at once.
 */
export function onShutdownSignal(deps: {
  readonly stop: () => Promise<void>;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}): void {
  let stoppingSinceMs: number | undefined;
  const shutDown = async (signal: NodeJS.Signals) => {
    if (stoppingSinceMs !== undefined) {
      if (deps.clock.monotonicMs() - stoppingSinceMs > SAME_WISH_MS) process.exit(1);
      return;
    }
    stoppingSinceMs = deps.clock.monotonicMs();
    deps.logger.info({ signal }, "stopping");
    const deadline = setTimeout(() => {
      deps.logger.error({ timeoutMs: deps.timeoutMs }, "did not stop in time");
      process.exit(1);
    }, deps.timeoutMs);
    try {
      await deps.stop();
      deps.logger.info("stopped");
      process.exit(0);
    } catch {
      process.exit(1);
    } finally {
      clearTimeout(deadline);
    }
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void shutDown(signal));
}
