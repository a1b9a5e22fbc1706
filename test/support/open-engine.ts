import { randomUUID } from "node:crypto";
import type { Engine } from "../../src/app/engine.ts";
import { openEngine } from "../../src/app/open-engine.ts";
import { type Config, readConfig } from "../../src/config.ts";
import { type Clock, systemClock } from "../../src/domain/time.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { startWorkers, type Workers } from "../../src/workers/worker-pool.ts";

export type Environment = Readonly<Record<string, string>>;

/** The engine that an environment names, in this process, beside whatever else runs on it. */
export async function openEngineOf(environment: Environment): Promise<Engine> {
  const config = readConfig(environment);
  return openEngine(config, createLogger("silent"), { waitForStore: true, clock: systemClock });
}

/** Worker loops on it. Not through the service, whose decorators plain Node does not run. */
export function startWorkersOn(
  engine: Engine,
  environment: Environment,
  clock: Clock = systemClock,
): Workers {
  const config: Config = readConfig(environment);
  return startWorkers({
    queue: engine.queue,
    store: engine.store,
    registry: engine.workerRegistry,
    clock,
    monotonicMs: clock.monotonicMs,
    random: Math.random,
    processId: `test-${process.pid}`,
    instanceId: randomUUID(),
    loops: 1,
    messagesPerPull: config.WORKER_PULL,
    concurrencyMax: config.WORKER_CONCURRENCY_MAX,
    retentionMs: config.retentionMs,
    writeTimeoutMs: 60_000,
    drainTimeoutMs: 10_000,
    logger: createLogger("silent"),
  });
}
