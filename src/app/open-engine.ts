import { randomUUID } from "node:crypto";
import type { Config } from "../config.ts";
import type { Finding } from "../domain/finding.ts";
import { createGroupCommit } from "../ingest/group-commit.ts";
import { createPublisher } from "../ingest/publisher.ts";
import { createReceivedAtClock } from "../ingest/received-at-clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { DiagnoseOptions, Engine, EngineModule, MigrateOptions, OpenOptions } from "./engine.ts";

/**
 * The composition root of the engines: nothing but app/engines/ names adapters. All other folders get what they need as
 * arguments.
 */

/** Group commit messages on their way at once: while one is made durable, the next is already handed over. */
const PUBLISHES_IN_FLIGHT_MAX = 2;

/** Loads no more than this engine needs: the cluster's drivers take 10 MB and a fifth of a second (measured). */
async function engineOf({ ENGINE }: Config): Promise<EngineModule> {
  if (ENGINE === "embedded") return (await import("./engines/embedded.ts")).embedded;
  return (await import("./engines/cluster.ts")).cluster;
}

/** Opens the queue and the store that the configuration names. @throws EngineStartError */
export async function openEngine(config: Config, logger: Logger, options: OpenOptions): Promise<Engine> {
  const { clock } = options;
  const module = await engineOf(config);
  const ports = await module.open(config, logger, options);
  const publish = createPublisher({ queue: ports.queue, timeoutMs: config.PUBLISH_TIMEOUT_MS });
  return {
    ...ports,
    name: config.ENGINE,
    receivedAt: createReceivedAtClock(clock),
    newGroupCommit: (onMessage = () => undefined) =>
      createGroupCommit({
        publish,
        newMessageId: randomUUID,
        inFlightMax: PUBLISHES_IN_FLIGHT_MAX,
        pendingMutationsMax: config.PENDING_MUTATIONS_MAX,
        pendingBytesMax: config.PENDING_BYTES_MAX,
        waitMsMax: config.PUBLISH_TIMEOUT_MS,
        monotonicMs: clock.monotonicMs,
        onMessage,
      }),
  };
}

/** See EngineModule: looks at everything that the engine stands on, and changes nothing. */
export async function diagnoseEngine(
  config: Config,
  logger: Logger,
  options: DiagnoseOptions,
): Promise<Finding[]> {
  return (await engineOf(config)).diagnose(config, logger, options);
}

/** See EngineModule: brings the store's schema up to date. */
export async function migrate(config: Config, logger: Logger, options: MigrateOptions): Promise<string[]> {
  return (await engineOf(config)).migrate(config, logger, options);
}
