import { connect, DiscardPolicy, RetentionPolicy, StorageType } from "nats";

/** The input of `recordImpressions`, as a client sends it. */
export interface Input {
  readonly userId: string;
  readonly impressions: readonly Readonly<Record<string, unknown>>[];
}

export interface Payload {
  readonly accepted: number;
  readonly receivedAt: number;
  readonly flushAfterMs: number;
}

/**
 * What people would write: a mutation is a message, published and awaited. The stream is like the service's own; the client
 * has the option that saves it a stack capture on every publish.
 */
export async function openPublisher(): Promise<(input: Input) => Promise<Payload>> {
  const { NATS_SERVERS = "", NATS_NAMESPACE = "", QUEUE_REPLICAS = "1" } = process.env;
  const nats = await connect({ servers: NATS_SERVERS.split(","), noAsyncTraces: true });
  const manager = await nats.jetstreamManager();
  await manager.streams.add({
    name: NATS_NAMESPACE.toUpperCase(),
    subjects: [`${NATS_NAMESPACE}.>`],
    storage: StorageType.File,
    retention: RetentionPolicy.Workqueue,
    discard: DiscardPolicy.New,
    num_replicas: Number(QUEUE_REPLICAS),
    max_bytes: 4 * 2 ** 30,
  });
  const jetstream = nats.jetstream();
  return async ({ userId, impressions }) => {
    const receivedAt = Date.now();
    await jetstream.publish(
      `${NATS_NAMESPACE}.submissions`,
      JSON.stringify({ userId, receivedAt, impressions }),
    );
    return { accepted: impressions.length, receivedAt, flushAfterMs: 0 };
  };
}
