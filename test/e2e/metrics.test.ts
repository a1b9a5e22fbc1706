import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openEngine } from "../../src/app/open-engine.ts";
import { readConfig } from "../../src/config.ts";
import { encodeSubmission, joinSubmissions } from "../../src/domain/queue-message.ts";
import { DAY_MS, systemClock } from "../../src/domain/time.ts";
import { readOperations } from "../../src/server/operations.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import type { ServiceProcess } from "../kit/service-process.ts";
import { expectAgreement, type Sent, scrape, sendAll } from "../suites/metrics.ts";
import { postTo } from "../support/api.ts";
import { expectDocumented } from "../support/documented-metrics.ts";
import { createEmbeddedInstallation, type EmbeddedInstallation } from "../support/embedded-installation.ts";
import { type Families, metricValue } from "../support/exposition.ts";
import { createLedger, type Ledger } from "../support/ledger.ts";

const RETENTION_DAYS = 90;

describe("the metrics of the embedded engine", () => {
  let installation: EmbeddedInstallation;
  let service: ServiceProcess;
  let ledger: Ledger;
  let sent: Sent;

  beforeAll(async () => {
    installation = createEmbeddedInstallation();
    await queueBeforeTheStart(installation.dataDir);
    service = await installation.start();
    ledger = createLedger();
    sent = await sendAll(ledger, service.url);
  });

  afterAll(() => installation.dispose());

  test("agree with the ledger: what was accepted is stored, expired or dead-lettered", () =>
    expectAgreement({ api: service.url, worker: service.url }, ledger, sent, {
      published: 4,
      expired: 3,
      deadLettered: { UNREADABLE_MESSAGE: 1 },
    }));

  test("are named and typed by Prometheus' conventions", async () => {
    const families = await scrape(service.url);
    const ours = [...families.values()].filter(({ name }) => name.startsWith("impressions_"));
    expect(ours.length).toBeGreaterThan(30);
    for (const { name, type, help } of ours) {
      expect(help, name).toMatch(/^[A-Z1].{15,}\.$/);
      expect(name.endsWith("_total"), name).toBe(type === "counter");
      if (type === "histogram") expect(name).toMatch(/_seconds$|_mutations$|_impressions$/);
      expect(name).not.toMatch(/_(ms|milliseconds|kb|percent|count|sum|bucket)$/);
    }
  });

  test("are those that docs/operations.md lists", async () => {
    expectDocumented(await scrape(service.url), ["api", "worker"]);
  });

  test("count each request by operation and outcome, however it ends", async () => {
    const post = (body: unknown, headers?: Record<string, string>) => postTo(service.url, body, headers);
    const viewers = "query PostViewers($id: ID!) { postViewers(postId: $id) { nodes { views } } }";
    const before = await scrape(service.url);
    await post({ query: viewers, variables: { id: "p1" } });
    await post({ query: viewers, variables: { id: "null" } });
    await post("{ no json");
    await post("x".repeat(300_000));
    await post({ query: "{ nothing }" });
    await post({ query: "{ __typename }" }, { "content-type": "text/plain" });
    await fetch(new URL("/graphql", service.url), { method: "DELETE" });
    await expect
      .poll(async () => requestsSince(before, await scrape(service.url)))
      .toEqual({
        "PostViewers OK": 1,
        "PostViewers BAD_USER_INPUT": 1,
        "other BAD_USER_INPUT": 4,
        "other BATCH_TOO_LARGE": 1,
      });
  });

  test("stay bounded whatever callers call their operations", async () => {
    const documented = (await readOperations()).map(({ name }) => name);
    const send = (number: number) =>
      postTo(service.url, { query: `query Invented${number} { pipeline { engine } }` });
    await send(0);
    const before = await scrape(service.url);
    for (let start = 1; start <= 1_000; start += 50)
      await Promise.all(Array.from({ length: 50 }, (_, index) => send(start + index)));
    await expect
      .poll(async () =>
        metricValue(await scrape(service.url), "impressions_requests_total", {
          operation: "other",
          code: "OK",
        }),
      )
      .toBe(metricValue(before, "impressions_requests_total", { operation: "other", code: "OK" }) + 1_000);
    const after = await scrape(service.url);
    expect(labelValues(after, "operation").filter((name) => !documented.includes(name))).toEqual(["other"]);
    expect(seriesByOperation(after)).toBe(seriesByOperation(before));
  });
});

describe("access to /metrics", () => {
  test.each([
    ["every caller", {}, [200, 200]],
    ["who knows METRICS_TOKEN", { METRICS_TOKEN: "a token of tests" }, [401, 200]],
    ["nobody", { METRICS: "off" }, [404, 404]],
    ["the other port's clients", { METRICS_PORT: "0", METRICS_TOKEN: "a token of tests" }, [404, 404]],
  ])("%s", async (_who, environment, statuses) => {
    const { start, dispose } = createEmbeddedInstallation(environment);
    onTestFinished(dispose);
    const service = await start();
    const authorization = "Bearer a token of tests";
    const ask = (url: string, headers = {}) => fetch(new URL("/metrics", url), { headers });
    const answers = [await ask(service.url), await ask(service.url, { authorization })];
    expect(answers.map(({ status }) => status)).toEqual(statuses);
    if (!("METRICS_PORT" in environment)) return;
    const told = service.log.find((line) => line.includes("on a port of their own")) ?? "{}";
    const { url } = JSON.parse(told) as { url: string };
    expect((await ask(url)).status).toBe(401);
    expect(metricValue(await scrape(url, { authorization }), "impressions_store_up")).toBe(1);
  });
});

/** As an import does: three impressions that have expired since they were received, and a message that is none. */
async function queueBeforeTheStart(dataDir: string): Promise<void> {
  const config = readConfig({ DATA_DIR: dataDir, RETENTION_DAYS: String(RETENTION_DAYS) });
  const engine = await openEngine(config, createLogger("silent"), { waitForStore: true, clock: systemClock });
  const nowMs = Date.now();
  const submission = encodeSubmission({
    userId: "late",
    receivedAtUs: (nowMs - 2 * DAY_MS) * 1_000,
    impressions: [1, 2, 3].map((number) => ({
      postId: `late-${number}`,
      viewedAtMs: nowMs - (RETENTION_DAYS + 1) * DAY_MS,
      surface: null,
      position: null,
      dwellMs: null,
    })),
  });
  await engine.queue.publish({ id: "late", body: joinSubmissions([submission]) });
  await engine.queue.publish({ id: "junk", body: "junk" });
  await engine.close();
}

function requestsSince(before: Families, after: Families): Record<string, number> {
  const samples = after.get("impressions_requests_total")?.samples ?? [];
  return Object.fromEntries(
    samples
      .map(({ name, labels, value }) => [
        `${labels.operation} ${labels.code}`,
        value - metricValue(before, name, labels),
      ])
      .filter(([, count]) => count !== 0),
  ) as Record<string, number>;
}

function labelValues(families: Families, label: string): string[] {
  const samples = [...families.values()].flatMap((family) => family.samples);
  return [...new Set(samples.flatMap(({ labels }) => labels[label] ?? []))];
}

function seriesByOperation(families: Families): number {
  return [...families.values()]
    .flatMap(({ samples }) => samples)
    .filter(({ labels }) => "operation" in labels).length;
}
