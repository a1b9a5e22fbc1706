/**
 * How often a condition is looked at again. Short beside any start-up here, long beside the cost of one look.
 */
const POLL_INTERVAL_MS = 50;

/** The condition to wait for, and the deadline. */
export interface Wait {
  /** Named in the error, so that a time-out says what never came true. */
  what: string;
  /** Resolves once the condition holds, throws while it does not. */
  probe: () => Promise<void>;
  /** After this long the wait fails. Generous: a deadline ends a hung test, it never decides a good one. */
  deadlineMs: number;
  /** Ends the wait at once, with its reason: the process that was waited for has died, say. */
  signal?: AbortSignal;
}

/**
 * Polls `probe` until it resolves. Rejects with the probe's last error as `cause` once the deadline has
 * passed.
 */
export async function waitUntil({ what, probe, deadlineMs, signal }: Wait): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    signal?.throwIfAborted();
    try {
      await probe();
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (performance.now() > deadline) {
        throw new Error(`${what}: not within ${deadlineMs} ms, last: ${messageOf(error)}`, { cause: error });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
  }
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
