import { setTimeout as sleep } from "node:timers/promises";
import type { JetStreamPublishOptions, PubAck } from "nats";
import type { Connection } from "./connection.ts";
import { API_ERROR, apiCodeOf } from "./errors.ts";

const RETRY_MS = 10;

/**
 * Publishes and waits for the stream's confirmation. On a replicated stream an earlier publish of the same id may still
 * wait for a majority; the server then says no more than that, and is asked again until it knows.
 *
 * @throws QueueUnavailableError no confirmation; NatsError what JetStream refused.
 */
export async function publishTo(
  connection: Connection,
  subject: string,
  body: string | Uint8Array,
  options: Partial<JetStreamPublishOptions>,
): Promise<PubAck> {
  const deadlineMs = connection.clock.monotonicMs() + connection.requestTimeoutMs;
  for (;;) {
    try {
      return await connection.request(() => connection.jetstream.publish(subject, body, options));
    } catch (error) {
      if (apiCodeOf(error) !== API_ERROR.duplicateInProcess || connection.clock.monotonicMs() >= deadlineMs)
        throw error;
    }
    await sleep(RETRY_MS);
  }
}
