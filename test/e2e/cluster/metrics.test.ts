import { afterAll, beforeAll, expect, test } from "vitest";
import { RecordImpressionsDocument } from "../../../src/generated/operations.ts";
import type { ClusterInstallation } from "../../kit/cluster-installation.ts";
import { query } from "../../kit/graphql-request.ts";
import { expectAgreement, scrape, sendAll } from "../../suites/metrics.ts";
import { expectDocumented } from "../../support/documented-metrics.ts";
import { metricValue } from "../../support/exposition.ts";
import { createLedger } from "../../support/ledger.ts";
import { openSharedInstallation } from "../../support/shared-installation.ts";

const DAY_MS = 86_400_000;
/** How long a view that is all but expired still lives when it is accepted. */
const LEFT_MS = 5_000;

let installation: ClusterInstallation;

beforeAll(async () => {
  installation = await openSharedInstallation();
});
afterAll(() => installation.dispose());

test("the metrics of an API and of a worker agree with the ledger, and say so by role", async () => {
  const settings = { RETENTION_DAYS: "90" };
  const api = await installation.start("api", settings);
  const expiresAtMs = Date.now() + LEFT_MS;
  const viewedAt = new Date(expiresAtMs - 90 * DAY_MS).toISOString();
  const { recordImpressions } = await query(api.url, RecordImpressionsDocument, {
    input: {
      userId: "late",
      impressions: [1, 2, 3].map((number) => ({ postId: `late-${number}`, viewedAt })),
    },
  });
  const ledger = createLedger();
  const sent = await sendAll(ledger, api.url);
  const waiting = await scrape(api.url);
  expect(metricValue(waiting, "impressions_queue_messages")).toBeGreaterThan(0);
  expect(metricValue(waiting, "impressions_queue_bytes")).toBeGreaterThan(0);
  // No worker yet: they expire in the queue.
  await expect.poll(() => Date.now(), { timeout: 60_000, interval: 100 }).toBeGreaterThan(expiresAtMs);

  const worker = await installation.start("worker", settings);
  await expectAgreement(
    { api: api.url, worker: worker.url },
    ledger,
    { ...sent, accepted: sent.accepted + recordImpressions.accepted },
    { published: 0, expired: recordImpressions.accepted, deadLettered: {} },
  );

  const [front, back] = [await scrape(api.url), await scrape(worker.url)];
  expectDocumented(front, ["api"]);
  expectDocumented(back, ["worker"]);
  const written = { statement: "insertPack" };
  expect(metricValue(back, "impressions_store_statement_duration_seconds_count", written)).toBeGreaterThan(0);
  expect(metricValue(front, "impressions_store_statement_duration_seconds_count", written)).toBe(0);
  expect(metricValue(back, "impressions_worker_loops")).toBe(2);
  for (const families of [front, back]) {
    expect(metricValue(families, "impressions_queue_up")).toBe(1);
    expect(metricValue(families, "impressions_store_up")).toBe(1);
  }
});
