import { createPublisher } from "../../src/ingest/publisher.ts";
import { QueueUnavailableError } from "../../src/ports/errors.ts";
import type { ImpressionQueue } from "../../src/ports/impression-queue.ts";

const PUBLISH_TIMEOUT_MS = 3_000;
const PULL_WAIT_MS = 1_000;
/** Publishers that run at once. */
const PUBLISHERS = 4;

/** Messages that are published, pulled and acknowledged without pause, and what came of each. */
export interface Traffic {
  /** Bodies that the queue has confirmed. */
  readonly confirmed: ReadonlySet<string>;
  /** Bodies that were delivered at least once. */
  readonly delivered: ReadonlySet<string>;
  /** Messages that were confirmed and never delivered. */
  lost(): string[];
  /** Stops publishing, pulls until the queue is empty, and resolves. */
  drain(): Promise<void>;
}

/** Starts traffic that bears with an unavailable queue, as the service does. Any other failure fails `drain`. */
export function startTraffic(queue: ImpressionQueue): Traffic {
  const publish = createPublisher({ queue, timeoutMs: PUBLISH_TIMEOUT_MS });
  const confirmed = new Set<string>();
  const delivered = new Set<string>();
  let publishing = true;
  let pulling = true;

  async function publisher(name: number): Promise<void> {
    for (let number = 0; publishing; number++) {
      const body = `${name}-${number}`;
      try {
        await publish({ id: body, body });
        confirmed.add(body);
      } catch (error) {
        if (!(error instanceof QueueUnavailableError)) throw error;
      }
    }
  }

  async function puller(): Promise<void> {
    while (pulling) {
      try {
        const request = { maxMessages: 50, maxBytes: 1_000_000, waitMs: PULL_WAIT_MS };
        const deliveries = await queue.pull({ ...request, signal: new AbortController().signal });
        for (const { body } of deliveries) delivered.add(Buffer.from(body).toString("utf8"));
        await queue.ack(deliveries);
      } catch (error) {
        if (!(error instanceof QueueUnavailableError)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async function untilEmpty(): Promise<void> {
    for (;;) {
      try {
        if ((await queue.stats()).pending === 0) return;
      } catch (error) {
        if (!(error instanceof QueueUnavailableError)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  const publishers = Promise.all(Array.from({ length: PUBLISHERS }, (_, name) => publisher(name)));
  const pullers = Promise.all([puller(), puller()]);
  publishers.catch(() => undefined);
  pullers.catch(() => undefined);
  return {
    confirmed,
    delivered,
    lost: () => [...confirmed].filter((body) => !delivered.has(body)),
    async drain() {
      publishing = false;
      await publishers;
      await Promise.race([untilEmpty(), pullers]);
      pulling = false;
      await pullers;
    },
  };
}
