import { Gauge, type Registry } from "prom-client";
import { within } from "../common/waiting.ts";
import type { Health, ImpressionQueue, QueueStats } from "../ports/impression-queue.ts";

/** What is not known by then is left out: Prometheus itself gives up after 10 s. */
const ANSWER_MS_MAX = 2_000;

type Gauges = Readonly<Record<string, readonly [help: string, value: (stats: QueueStats) => number]>>;

const QUEUE_GAUGES: Gauges = {
  impressions_queue_messages: ["Messages in the queue that are not acked.", ({ pending }) => pending],
  impressions_queue_in_flight_messages: [
    "Messages of the queue that a worker holds, or that wait for their next try.",
    ({ inFlight }) => inFlight,
  ],
  impressions_queue_bytes: ["Bytes in the queue.", ({ bytes }) => bytes],
  impressions_queue_limit_bytes: [
    "Bytes at which the queue refuses new impressions (QUEUE_MAX_BYTES).",
    ({ limitBytes }) => limitBytes,
  ],
  impressions_queue_oldest_message_age_seconds: [
    "Age of the oldest message that is not acked; 0 where there is none.",
    ({ oldestPendingSeconds }) => oldestPendingSeconds,
  ],
  impressions_queue_delivering: [
    "Whether workers get the queue's messages: 0 while the consumer is paused or changed, else 1.",
    ({ notDelivering }) => (notDelivering === null ? 1 : 0),
  ],
};

/** Asks the queue and the store at each scrape. A number that they do not tell in time is missing from that scrape. */
export function watchEngine(
  registers: Registry[],
  {
    queue,
    store,
  }: {
    readonly queue: Pick<ImpressionQueue, "stats" | "health"> & {
      readonly deadLetters: Pick<ImpressionQueue["deadLetters"], "count">;
    };
    readonly store: { health(): Promise<Health> };
  },
  answerMsMax: number = ANSWER_MS_MAX,
): void {
  /** Null where it fails or takes too long. */
  const answerOf = <Answer>(asked: Promise<Answer>) =>
    within(
      answerMsMax,
      asked.catch(() => null),
      () => null,
    );
  const upOf = async (port: { health(): Promise<Health> }) =>
    (await answerOf(port.health()))?.healthy === true ? 1 : 0;
  let stats: Promise<QueueStats | null> | null = null;
  /** The gauges of one scrape are collected side by side, and share one answer. */
  function statsOfScrape(): Promise<QueueStats | null> {
    stats ??= answerOf(queue.stats()).finally(() => {
      stats = null;
    });
    return stats;
  }
  for (const [name, [help, value]] of Object.entries(QUEUE_GAUGES)) {
    askedGauge(registers, name, help, async () => {
      const known = await statsOfScrape();
      return known === null ? null : value(known);
    });
  }
  askedGauge(registers, "impressions_dead_letters", "Dead letters that wait for a person.", () =>
    answerOf(queue.deadLetters.count()),
  );
  askedGauge(registers, "impressions_queue_up", "Whether the queue answers: 1 or 0.", () => upOf(queue));
  askedGauge(registers, "impressions_store_up", "Whether the store answers: 1 or 0.", () => upOf(store));
}

function askedGauge(registers: Registry[], name: string, help: string, ask: () => Promise<number | null>) {
  return new Gauge({
    name,
    help,
    registers,
    async collect() {
      const value = await ask();
      // An old number would hide that it is unknown now.
      if (value === null) this.remove();
      else this.set(value);
    },
  });
}
