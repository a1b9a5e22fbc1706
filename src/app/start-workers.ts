import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { type ErasureRunner, startErasureRunner } from "../admin/erasure-runner.ts";
import type { Config } from "../config.ts";
import type { Clock } from "../domain/time.ts";
import type { Logger } from "../telemetry/logger.ts";
import { startWorkers, type Workers } from "../workers/worker-pool.ts";
import type { Engine } from "./engine.ts";

/** A store write that is not answered within so many of the store's own timeouts is given up. */
const WRITE_TIMEOUTS = 4;
/** Of SHUTDOWN_TIMEOUT_MS; the rest is for requests that run, and for closing connections. */
const DRAIN_SHARE = 0.5;

/** Starts the worker loops of this process on an opened engine. */
export function startEngineWorkers(
  engine: Engine,
  config: Config,
  logger: Logger,
  clock: Clock,
  onStored?: (lagMs: number) => void,
): Workers {
  return startWorkers({
    queue: engine.queue,
    store: engine.store,
    registry: engine.workerRegistry,
    clock,
    random: Math.random,
    monotonicMs: clock.monotonicMs,
    processId: `${hostname()}-${process.pid}`,
    instanceId: `${hostname()}-${process.pid}-${randomUUID()}`,
    loops: config.WORKERS,
    messagesPerPull: config.WORKER_PULL,
    concurrencyMax: config.WORKER_CONCURRENCY_MAX,
    retentionMs: config.retentionMs,
    // The store gives up by itself after its own timeout, at the latest after a repetition.
    writeTimeoutMs: WRITE_TIMEOUTS * config.SCYLLA_REQUEST_TIMEOUT_MS,
    drainTimeoutMs: DRAIN_SHARE * config.SHUTDOWN_TIMEOUT_MS,
    ...(onStored === undefined ? {} : { onStored }),
    logger,
  });
}

/** Starts the runner of erasures of this process. */
export function startErasures(engine: Engine, config: Config, logger: Logger, clock: Clock): ErasureRunner {
  return startErasureRunner({
    store: engine.store,
    queue: engine.queue,
    clock,
    // A mutation waits at most so long for a slot, and then at most so long for its confirmation.
    enqueuedWithinMs: 2 * config.PUBLISH_TIMEOUT_MS,
    holder: randomUUID(),
    logger,
  });
}
