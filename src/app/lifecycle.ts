import type { Logger } from "../telemetry/logger.ts";

/** Where a process stands. It only ever moves down this list. */
export type Phase =
  | { readonly name: "starting" }
  | { readonly name: "running" }
  /** No new work is taken; `done` resolves when what was in flight is finished or failed to finish. */
  | { readonly name: "stopping"; readonly done: Promise<void> }
  | { readonly name: "stopped" };

/**
 * Starts parts in order and stops them in the opposite order, each once, whatever calls come when. A part that fails
 * to stop does not keep the others from stopping; the first failure is thrown at the end.
 */
export interface Lifecycle {
  phase(): Phase;
  /** Registers how to stop what was just started. */
  onStop(name: string, stop: () => Promise<void> | void): void;
  /** Everything is started. */
  running(): void;
  /** Repeated and concurrent calls wait for the first. */
  stop(): Promise<void>;
}

export function createLifecycle(logger: Logger): Lifecycle {
  let phase: Phase = { name: "starting" };
  const closers: { readonly name: string; readonly stop: () => Promise<void> | void }[] = [];

  async function stopAll(): Promise<void> {
    const failures: unknown[] = [];
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) {
      try {
        await closer.stop();
      } catch (error) {
        failures.push(error);
        logger.error({ err: error }, `${closer.name} did not stop cleanly`);
      }
    }
    phase = { name: "stopped" };
    if (failures.length > 0) throw failures[0];
  }

  return {
    phase: () => phase,
    onStop(name, stop) {
      closers.push({ name, stop });
    },
    running() {
      if (phase.name === "starting") phase = { name: "running" };
    },
    async stop() {
      switch (phase.name) {
        case "starting":
        case "running": {
          const { promise, resolve, reject } = Promise.withResolvers<void>();
          phase = { name: "stopping", done: promise };
          stopAll().then(resolve, reject);
          return promise;
        }
        case "stopping":
          return phase.done;
        case "stopped":
          return;
        default:
          phase satisfies never;
      }
    },
  };
}
