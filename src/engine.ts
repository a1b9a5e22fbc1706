import type { Config } from "./config.ts";
import type { CommittedMessage, GroupCommit } from "./ingest/group-commit.ts";
import type { ReceivedAtClock } from "./ingest/received-at-clock.ts";
import type { ImpressionQueue } from "./ports/impression-queue.ts";
import type { ImpressionStore } from "./ports/impression-store.ts";
import type { WorkerRegistry } from "./ports/worker-registry.ts";

/** An opened engine: a queue and a store, whichever adapters they are. */
export interface Engine {
  readonly name: Config["ENGINE"];
  readonly queue: ImpressionQueue;
  readonly store: ImpressionStore;
  readonly workerRegistry: WorkerRegistry;
  /** Which database keeps the views, with its version, for people; null until it was reached. */
  readonly database: () => string | null;
  readonly receivedAt: ReceivedAtClock;
  /** A group commit stage in front of the queue, with the configured limits. */
  newGroupCommit(onMessage?: (message: CommittedMessage) => void): GroupCommit;
  close(): Promise<void>;
}
