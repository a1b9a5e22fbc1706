// Fills the store that SCYLLA_* names, as workers do: batches by partition through the store's port.
//
//   node bench/reads/load.ts [--impressions 2000000]
//
// The keyspace is made and migrated first. Prints a line each 10 s, and at the end the rate.

import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { migrate, openEngine } from "../../src/app/open-engine.ts";
import { readConfig } from "../../src/config.ts";
import type { View } from "../../src/domain/impression.ts";
import { systemClock } from "../../src/domain/time.ts";
import { StoreUnavailableError } from "../../src/ports/errors.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { recordViews } from "../../test/kit/views.ts";
import { VIEWS_PER_USER, viewsOf } from "./dataset.ts";

/** Users written together: of these a post gets some 40 views, which go as one batch. */
const USERS_PER_WAVE = 2_000;
const REPORT_EVERY_MS = 10_000;
/** Of one wave. */
const TRIES_MAX = 20;
const RETRY_DELAY_MS = 2_000;
const LOADING = {
  /** Few rows a slice: the hot post's hour goes on to finer slices, as a viral post's does. */
  SLICE_ROWS_MAX: 2_000,
  /** No caller waits for an answer, and a small node that compacts at the same time pauses for seconds. */
  SCYLLA_REQUEST_TIMEOUT_MS: 120_000,
  SCYLLA_REQUESTS_MAX: 64,
};

const { values } = parseArgs({ options: { impressions: { type: "string", default: "2000000" } } });
const users = Math.ceil(Number(values.impressions) / VIEWS_PER_USER);
const config = readConfig({ ENGINE: "cluster", ...process.env });
const logger = createLogger("warn");
await migrate(config, logger, { dryRun: false, replicationFactor: 1, clock: systemClock });
const engine = await openEngine({ ...config, ...LOADING }, logger, {
  waitForStore: true,
  clock: systemClock,
});
const endMs = Date.now();
const startedMs = performance.now();
let reportedMs = startedMs;
for (let first = 0; first < users; first += USERS_PER_WAVE) {
  const wave = Array.from({ length: Math.min(USERS_PER_WAVE, users - first) }, (_, index) => first + index);
  await store(wave.flatMap((user) => viewsOf(user, endMs)));
  const nowMs = performance.now();
  if (nowMs - reportedMs < REPORT_EVERY_MS) continue;
  reportedMs = nowMs;
  console.log(`${(first + wave.length) * VIEWS_PER_USER} impressions`);
}
const seconds = (performance.now() - startedMs) / 1_000;
const impressions = users * VIEWS_PER_USER;
console.log(
  `${impressions} impressions in ${seconds.toFixed(1)} s, ${Math.round(impressions / seconds)} a second`,
);
await engine.close();

/** Writes are idempotent: what a busy node did not confirm is written again, with all of its wave. */
async function store(views: readonly View[]): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await recordViews(engine.store, views);
    } catch (error) {
      if (!(error instanceof StoreUnavailableError) || tries === TRIES_MAX) throw error;
      console.log(`again: ${error.message}`);
      await sleep(RETRY_DELAY_MS);
    }
  }
}
