import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { watchEngine } from "../../src/metrics/engine-metrics.ts";
import { QueueUnavailableError } from "../../src/ports/errors.ts";
import type { Health, QueueStats } from "../../src/ports/impression-queue.ts";
import { metricValue, parseExposition } from "../support/exposition.ts";

const STATS: QueueStats = {
  pending: 7,
  inFlight: 3,
  oldestPendingSeconds: 9,
  bytes: 100,
  limitBytes: 1_000,
  notDelivering: null,
};
const WELL: Health = { healthy: true };
const ANSWER_MS_MAX = 20;

function watched() {
  const answers = {
    stats: async (): Promise<QueueStats> => STATS,
    health: async (): Promise<Health> => WELL,
    asked: 0,
  };
  const registry = new Registry();
  const engine = {
    queue: {
      stats() {
        answers.asked++;
        return answers.stats();
      },
      health: () => answers.health(),
      deadLetters: { count: async () => 2 },
    },
    store: { health: () => answers.health() },
  };
  watchEngine([registry], engine, ANSWER_MS_MAX);
  return { answers, scrape: async () => parseExposition(await registry.metrics()) };
}

test("a scrape asks the queue once, and shows what it says", async () => {
  const { answers, scrape } = watched();
  const families = await scrape();
  expect(answers.asked).toBe(1);
  expect(metricValue(families, "impressions_queue_messages")).toBe(7);
  expect(metricValue(families, "impressions_queue_oldest_message_age_seconds")).toBe(9);
  expect(metricValue(families, "impressions_dead_letters")).toBe(2);
  expect(metricValue(families, "impressions_queue_up")).toBe(1);
});

test.each<[string, () => Promise<never>]>([
  ["is down", () => Promise.reject(new QueueUnavailableError("down"))],
  ["hangs", () => new Promise<never>(() => undefined)],
])("what %s is missing, not old, and said to be down", async (_what, answer) => {
  const { answers, scrape } = watched();
  await scrape();
  answers.stats = answer;
  answers.health = answer;
  const families = await scrape();
  expect(families.get("impressions_queue_messages")?.samples).toEqual([]);
  expect(families.get("impressions_queue_up")?.samples).toEqual([expect.objectContaining({ value: 0 })]);
  expect(metricValue(families, "impressions_store_up")).toBe(0);
  expect(metricValue(families, "impressions_dead_letters")).toBe(2);
});
