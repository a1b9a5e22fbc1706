import { randomUUID } from "node:crypto";
import type { Config } from "./config.ts";
import type { Finding } from "./domain/finding.ts";
import type { Engine } from "./engine.ts";
import type { DiagnoseOptions, EngineKind, MigrateOptions, OpenOptions } from "./engines/engine-kind.ts";
import { createGroupCommit } from "./ingest/group-commit.ts";
import { createPublisher } from "./ingest/publisher.ts";
import { createReceivedAtClock } from "./ingest/received-at-clock.ts";
import type { Logger } from "./telemetry/logger.ts";

/**
 * The composition root, with engines/ for what differs between the engines: nothing else names adapters. Everything else
 * gets what it needs as arguments.
 */

/** Group commit messages on their way at once: while one is made durable, the next is already handed over. */
const PUBLISHES_IN_FLIGHT_MAX = 2;

/** Loads no more than this engine needs: the cluster's drivers take 10 MB and a fifth of a second (measured). */
async function engineOf({ ENGINE }: Config): Promise<EngineKind> {
  if (ENGINE === "embedded") return (await import("./engines/embedded.ts")).embedded;
  return (await import("./engines/cluster.ts")).cluster;
}

/** Opens the queue and the store that the configuration names. @throws EngineStartError */
export async function openEngine(config: Config, logger: Logger, options: OpenOptions): Promise<Engine> {
  const { clock } = options;
  const kind = await engineOf(config);
  const { queue, store, workerRegistry, database, close } = await kind.open(config, logger, options);
  const publish = createPublisher({ queue, timeoutMs: config.PUBLISH_TIMEOUT_MS });
  return {
    name: config.ENGINE,
    queue,
    store,
    workerRegistry,
    database,
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
    close,
  };
}

/** See EngineKind: looks at everything that the engine stands on, and changes nothing. */
export async function diagnoseEngine(
  config: Config,
  logger: Logger,
  options: DiagnoseOptions,
): Promise<Finding[]> {
  return (await engineOf(config)).diagnose(config, logger, options);
}

/** See EngineKind: brings the store's schema up to date. */
export async function migrate(config: Config, logger: Logger, options: MigrateOptions): Promise<string[]> {
  return (await engineOf(config)).migrate(config, logger, options);
}
