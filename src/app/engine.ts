import type { Config } from "../config.ts";
import type { Finding } from "../domain/finding.ts";
import type { Clock } from "../domain/time.ts";
import type { CommittedMessage, GroupCommit } from "../ingest/group-commit.ts";
import type { ReceivedAtClock } from "../ingest/received-at-clock.ts";
import type { ImpressionQueue } from "../ports/impression-queue.ts";
import type { ImpressionStore, OnStatement } from "../ports/impression-store.ts";
import type { WorkerRegistry } from "../ports/worker-registry.ts";
import type { Logger } from "../telemetry/logger.ts";

/** What an engine brings: its two ports and the registry of its workers. */
export interface EnginePorts {
  readonly queue: ImpressionQueue;
  readonly store: ImpressionStore;
  readonly workerRegistry: WorkerRegistry;
  /** Which database keeps the views, with its version, for people; null until it was reached. */
  readonly database: () => string | null;
  close(): Promise<void>;
}

/** An opened engine, with what stands in front of its queue. */
export interface Engine extends EnginePorts {
  readonly name: Config["ENGINE"];
  readonly receivedAt: ReceivedAtClock;
  /** A group commit stage in front of the queue, with the configured limits. */
  newGroupCommit(onMessage?: (message: CommittedMessage) => void): GroupCommit;
}

export interface OpenOptions {
  /** While the cluster's store is down: wait for it, or open all the same and fail its calls until it is there. */
  readonly waitForStore: boolean;
  readonly clock: Clock;
  readonly onStatement?: OnStatement;
}

export interface DiagnoseOptions {
  /** Whether a running service has the embedded engine's directory. */
  readonly isServed: boolean;
  readonly clock: Clock;
}

export interface MigrateOptions {
  readonly dryRun: boolean;
  /** Where the keyspace is missing, makes it with so many replicas; null refuses. */
  readonly replicationFactor: number | null;
  readonly clock: Clock;
}

/** One of the engines that ENGINE can name: which adapters it is made of, and how the configuration reaches them. */
export interface EngineModule {
  /** @throws EngineStartError */
  open(config: Config, logger: Logger, options: OpenOptions): Promise<EnginePorts>;
  /** Looks at everything that the engine stands on, and changes nothing. */
  diagnose(config: Config, logger: Logger, options: DiagnoseOptions): Promise<Finding[]>;
  /**
   * Brings the store's schema up to date.
   *
   * @returns what was done (or would be, in a dry run), a line each. @throws EngineStartError
   */
  migrate(config: Config, logger: Logger, options: MigrateOptions): Promise<string[]>;
}
