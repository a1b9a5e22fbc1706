import { expect, onTestFinished, test } from "vitest";
import {
  PipelineDocument,
  type PipelineQuery,
  RecordImpressionsDocument,
} from "../../../src/generated/operations.ts";
import { query, request } from "../../kit/graphql-request.ts";
import { startServiceProcess } from "../../kit/service-process.ts";
import { startNats } from "../../servers/nats.ts";
import { startSilentServer } from "../../servers/silent-server.ts";

const PARTS = "{ pipeline { engine queueHealthy storeHealthy workers { id state storeHealthy } } }";

/** Many processes one after the other, on a machine that may be slow. */
const TIMEOUT_MS = 600_000;

test(
  "pipeline answers while the database hangs, and in parts while NATS hangs",
  async () => {
    const nats = await startNats();
    onTestFinished(() => nats.stop());
    const service = await startServiceProcess({
      ENGINE: "cluster",
      NATS_SERVERS: nats.servers.join(","),
      SCYLLA_CONTACT_POINTS: await startSilentServer(),
      QUEUE_MAX_BYTES: "64MiB",
      DEAD_LETTER_MAX_BYTES: "64MiB",
    });
    onTestFinished(async () => void (await service.kill("SIGKILL")));
    await query(service.url, RecordImpressionsDocument, {
      input: { userId: "u", impressions: [{ postId: "p", viewedAt: new Date().toISOString() }] },
    });
    const { pipeline } = await query(service.url, PipelineDocument, {});
    expect(pipeline).toMatchObject({ pending: 1, deadLetters: 0, queueHealthy: true, storeHealthy: false });
    // In the end the breaker opens, and each loop says so.
    await expect
      .poll(async () => (await query(service.url, PipelineDocument, {})).pipeline.workers, {
        timeout: 100_000,
      })
      .toEqual([1, 2].map(() => expect.objectContaining({ state: "PAUSED", storeHealthy: false })));
    const ready = await fetch(new URL("/readyz", service.url));
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ store: { healthy: false }, workersPaused: true });

    const [node] = nats.nodes;
    await node?.pause();
    const whole = await request(service.url, PipelineDocument, {});
    expect(whole.errors?.[0]?.extensions?.code).toBe("QUEUE_UNAVAILABLE");
    const response = await fetch(new URL("/graphql", service.url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: PARTS }),
    });
    const { data } = (await response.json()) as { data: PipelineQuery };
    expect(data.pipeline).toMatchObject({ engine: "cluster", queueHealthy: false, storeHealthy: false });
    await node?.resume();
    await expect
      .poll(async () => (await request(service.url, PipelineDocument, {})).data?.pipeline.pending, {
        timeout: 60_000,
      })
      .toBe(1);
  },
  TIMEOUT_MS,
);
