import { randomUUID } from "node:crypto";
import { startErasureRunner } from "../../src/admin/erasure-runner.ts";
import { systemClock } from "../../src/domain/time.ts";
import type { ImpressionQueue } from "../../src/ports/impression-queue.ts";
import type { ImpressionStore } from "../../src/ports/impression-store.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { openEngineOf, startWorkersOn } from "../support/open-engine.ts";
import type { ErasureStage } from "./erasures.ts";

/**
 * A process that works off erasures and is killed at a stage of the first one, for tests of what the next one makes of
 * it. It takes the service's environment, and exits with 0 once no erasure is unfinished:
 *
 *   KILL_AT=<stage> ENGINE=cluster ... node erasure-process.ts
 */

const CHECK_INTERVAL_MS = 50;

async function reach(stage: ErasureStage): Promise<void> {
  if (process.env.KILL_AT !== stage) return;
  process.kill(process.pid, "SIGKILL");
  await new Promise(() => undefined);
}

const environment = Object.fromEntries(
  Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
);
const engine = await openEngineOf(environment);
const store: ImpressionStore = {
  ...engine.store,
  async saveErasure(erasure) {
    if (erasure.status === "DELETING") await reach("settled");
    if (erasure.status === "DONE") await reach("letters removed again");
    await engine.store.saveErasure(erasure);
    if (erasure.status === "DELETING") await reach("deleting");
    if (erasure.status === "DONE") await reach("done");
  },
  async eraseUser(userId, throughReceivedAtUs, onCounted) {
    await reach("letters removed");
    const outcome = await engine.store.eraseUser(userId, throughReceivedAtUs, async (views) => {
      await onCounted?.(views);
      await reach("counted");
    });
    await reach("rows deleted");
    return outcome;
  },
};
const queue: ImpressionQueue = engine.queue;
const workers = startWorkersOn(engine, environment);
const runner = startErasureRunner({
  store,
  queue,
  clock: systemClock,
  enqueuedWithinMs: 0,
  holder: randomUUID(),
  // The next process waits for it.
  leaseMs: 1_000,
  logger: createLogger("error"),
});
while ((await engine.store.unfinishedErasures()).length > 0)
  await new Promise((resolve) => setTimeout(resolve, CHECK_INTERVAL_MS));
await runner.stop();
await workers.stop();
await engine.close();
