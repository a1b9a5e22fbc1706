import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../domain/time.ts";
import { EngineStartError, QueueUnavailableError } from "../ports/errors.ts";
import type { ImpressionQueue } from "../ports/impression-queue.ts";
import type { WorkerRegistry } from "../ports/worker-registry.ts";
import type { Log } from "../telemetry/logger.ts";
import { openConnection } from "./connection.ts";
import { namesOf } from "./names.ts";
import { createJetStreamQueue } from "./queue.ts";
import { MAX_ACK_PENDING } from "./stream-plan.ts";
import { ensureTopology } from "./topology.ts";
import { createJetStreamWorkerRegistry } from "./worker-registry.ts";

/** How long a puller holds a message before it is delivered again, unless it extends. */
const ACK_WAIT_MS_DEFAULT = 30_000;
/** One request to the server; a publish that took longer is repeated with the same id. */
const REQUEST_TIMEOUT_MS_DEFAULT = 2_000;
const RETRY_MS = 500;
const WAIT_LOG_INTERVAL_MS = 10_000;

export interface JetStreamOptions {
  /** `host:port` each; the others of a cluster are found by themselves. */
  readonly servers: readonly string[];
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** File of a NATS user's credentials (JWT and key). */
  readonly credsFile?: string | undefined;
  /** File of the authority that signed the servers' certificate, PEM. */
  readonly tlsCaFile?: string | undefined;
  /** Begins the names of streams and subjects; `impressions` unless given. */
  readonly namespace?: string | undefined;
  readonly queueMaxBytes: number;
  readonly queueReplicas: number;
  readonly deadLetterDays: number;
  readonly deadLetterMaxBytes: number;
  readonly ackWaitMs?: number | undefined;
  /** What one worker loop of this process pulls at once. */
  readonly messagesPerPull: number;
  /** How long a start waits for the server; for ever unless given. */
  readonly connectTimeoutMs?: number | undefined;
  readonly requestTimeoutMs?: number | undefined;
  readonly clock: Clock;
  readonly logger: Log;
}

export interface JetStream {
  readonly queue: ImpressionQueue;
  readonly workerRegistry: WorkerRegistry;
  /** Repeated calls wait for the first. */
  close(): Promise<void>;
}

/**
 * Opens the queue on a NATS server or cluster with JetStream, and makes its streams fit.
 *
 * @throws EngineStartError what waiting does not mend. While no server answers it waits, and says what for.
 */
export async function openJetStreamQueue(options: JetStreamOptions): Promise<JetStream> {
  const { clock, logger: log, ackWaitMs = ACK_WAIT_MS_DEFAULT, messagesPerPull } = options;
  if (MAX_ACK_PENDING < 2 * messagesPerPull) {
    throw new EngineStartError(
      `WORKER_PULL=${messagesPerPull}: must be at most ${MAX_ACK_PENDING / 2}, half of the messages that all workers may hold`,
    );
  }
  const names = namesOf(options.namespace);
  const startedMs = clock.monotonicMs();
  const { requestTimeoutMs = REQUEST_TIMEOUT_MS_DEFAULT, connectTimeoutMs = Number.POSITIVE_INFINITY } =
    options;
  const connection = await openConnection({ ...options, log, requestTimeoutMs });
  try {
    const topology = {
      names,
      queueMaxBytes: options.queueMaxBytes,
      replicas: options.queueReplicas,
      deadLetterDays: options.deadLetterDays,
      deadLetterMaxBytes: options.deadLetterMaxBytes,
      ackWaitMs,
      clock,
      log,
    };
    await whileUnavailable(
      () => ensureTopology(connection, topology),
      connectTimeoutMs - (clock.monotonicMs() - startedMs),
      clock,
      log,
    );
    const queue = createJetStreamQueue(connection, {
      names,
      ackWaitMs,
      replicas: options.queueReplicas,
      log,
    });
    return {
      queue,
      workerRegistry: createJetStreamWorkerRegistry(connection, names, clock),
      close: queue.close,
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** Tries until JetStream answers: a cluster that has just started has no leader yet. */
async function whileUnavailable(
  attempt: () => Promise<void>,
  timeoutMs: number,
  clock: Clock,
  log: Log,
): Promise<void> {
  const startedMs = clock.monotonicMs();
  let loggedMs = startedMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof QueueUnavailableError)) throw error;
      const nowMs = clock.monotonicMs();
      if (nowMs - startedMs >= timeoutMs) {
        throw new EngineStartError(
          `JetStream does not answer (${error.message}): is a majority of its servers up?`,
          {
            cause: error,
          },
        );
      }
      if (nowMs - loggedMs >= WAIT_LOG_INTERVAL_MS) {
        loggedMs = nowMs;
        log.warn({ reason: error.message }, "waiting for JetStream: a majority of its servers has to be up");
      }
    }
    await sleep(RETRY_MS);
  }
}
