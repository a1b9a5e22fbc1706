import { connect } from "nats";
import { expect, inject, onTestFinished, test } from "vitest";
import type {} from "../../servers/global-setup.ts";
import { scrape } from "../../suites/metrics.ts";
import { metricValue } from "../../support/exposition.ts";
import { openSharedInstallation } from "../../support/shared-installation.ts";

const PATIENCE = { timeout: 60_000, interval: 100 };

test("a paused queue is told by /readyz, the log and a metric: workers are not ready, APIs are", async () => {
  const installation = await openSharedInstallation();
  onTestFinished(() => installation.dispose());
  const api = await installation.start("api");
  const worker = await installation.start("worker");
  const readiness = async ({ url }: { url: string }) => {
    const response = await fetch(new URL("/readyz", url));
    return { status: response.status, body: await response.json() };
  };
  expect(await readiness(worker)).toMatchObject({ status: 200, body: { queue: { healthy: true } } });

  const client = await connect({ servers: inject("natsServers") });
  onTestFinished(() => client.close());
  const { consumers } = await client.jetstreamManager();
  const stream = installation.keyspace.toUpperCase();
  await consumers.pause(stream, "workers", new Date(Date.now() + 3_600_000));
  const told = {
    queue: { healthy: true, notDelivering: expect.stringMatching(/^deliveries are paused until 2/) },
  };
  expect(await readiness(worker)).toMatchObject({ status: 503, body: { ready: false, ...told } });
  expect(await readiness(api)).toMatchObject({ status: 200, body: { ready: true, ...told } });
  expect(metricValue(await scrape(worker.url), "impressions_queue_delivering")).toBe(0);
  const lines = () => worker.log.filter((line) => line.includes("deliveries are paused until"));
  await expect.poll(lines, PATIENCE).toHaveLength(1);

  await consumers.resume(stream, "workers");
  await expect.poll(async () => (await readiness(worker)).status, PATIENCE).toBe(200);
  await expect
    .poll(() => worker.log.some((line) => line.includes("the queue delivers to workers again")), PATIENCE)
    .toBe(true);
  expect(lines()).toHaveLength(1);
});
