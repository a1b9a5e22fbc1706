import { within } from "../common/waiting.ts";
import type { Health } from "../ports/impression-queue.ts";

/** Who asks how the service is wants to know now: a store or a queue that takes longer is not well. */
const HEALTH_TIMEOUT_MS = 2_000;

/** What a port says of its health, or that it did not say anything in time. Never throws. */
export async function healthWithin(
  port: { health(): Promise<Health> },
  timeoutMs: number = HEALTH_TIMEOUT_MS,
): Promise<Health> {
  return within(timeoutMs, port.health(), () => ({
    healthy: false,
    reason: `no answer within ${timeoutMs} ms`,
  }));
}
