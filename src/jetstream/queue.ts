import { setTimeout as sleep } from "node:timers/promises";
import type { StreamInfo } from "nats";
import { within } from "../common/waiting.ts";
import { parseInstant } from "../domain/instant.ts";
import { QueueUnavailableError } from "../ports/errors.ts";
import type { ImpressionQueue, QueueStats } from "../ports/impression-queue.ts";
import type { Log } from "../telemetry/logger.ts";
import { createAttempts } from "./attempts.ts";
import type { Connection } from "./connection.ts";
import { createDeadLetters } from "./dead-letters.ts";
import { createDeliveries } from "./deliveries.ts";
import { API_ERROR, apiCodeOf, messageOf, queueError } from "./errors.ts";
import type { JetStreamNames } from "./names.ts";
import { publishTo } from "./publish.ts";
import { type PullEnd, pullOnce } from "./pull.ts";
import { hasMajority, readStreamInfo } from "./stream-info.ts";
import { deliveryProblem } from "./stream-plan.ts";
import { ensureConsumer } from "./topology.ts";

/**
 * One request for messages lasts this long at most and a pull makes several. It bounds how late a silent server is
 * noticed, and how long a few messages wait in flight while MAX_ACK_PENDING keeps the server from adding to them.
 */
const PULL_REQUEST_MS_MAX = 1_000;
const PULL_PAUSE_MS_MIN = 5;
const PULL_PAUSE_MS_MAX = 250;
/** How long a close waits for messages that still come, to give them back. */
const CLOSE_WAIT_MS_MAX = 2_000;
/** How often a queue that delivers nothing asks why. */
const DELIVERY_CHECK_INTERVAL_MS = 10_000;
/** How often the log says that the stream is gone. */
const GONE_LOG_INTERVAL_MS = 10_000;

export interface JetStreamQueueOptions {
  readonly names: JetStreamNames;
  readonly ackWaitMs: number;
  readonly replicas: number;
  readonly log: Log;
}

/** The work queue on a connection whose server has the topology. Closing it closes the connection. */
export function createJetStreamQueue(
  connection: Connection,
  options: JetStreamQueueOptions,
): ImpressionQueue {
  const { names, log } = options;
  const { clock, manager } = connection;
  const deliveries = createDeliveries(connection, options.ackWaitMs);
  const closed = new AbortController();
  const lingering = new Set<Promise<void>>();
  let closing: Promise<void> | null = null;
  let restoring: Promise<void> | null = null;
  let goneLoggedMs = Number.NEGATIVE_INFINITY;
  let deliveryCheckedMs = Number.NEGATIVE_INFINITY;
  let notDelivering: string | null = null;

  /** Turns what a request throws into the port's errors. */
  async function asking<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await ask();
    } catch (error) {
      throw apiCodeOf(error) === API_ERROR.streamNotFound ? streamIsGone(error) : queueError(error);
    }
  }

  const streamInfo = () => asking(() => readStreamInfo(connection, names.stream));

  function streamIsGone(cause: unknown): QueueUnavailableError {
    const reason =
      `the stream ${names.stream} does not exist any more: restore it from a backup, ` +
      "or restart a process of the service, which makes it anew and empty";
    const nowMs = clock.monotonicMs();
    if (nowMs - goneLoggedMs >= GONE_LOG_INTERVAL_MS) {
      goneLoggedMs = nowMs;
      log.error({ stream: names.stream }, reason);
    }
    return new QueueUnavailableError(`JetStream: ${reason}`, { cause });
  }

  /** Makes the consumer anew where it was deleted; the loops of a process do so together. */
  function restoreConsumer(): Promise<void> {
    restoring ??= (async () => {
      try {
        // Not the stream: making that anew would hide that its messages are lost, and get in the way of a restore.
        await streamInfo();
        if (!(await ensureConsumer(connection, options))) return;
        log.error(
          { stream: names.stream, consumer: names.consumer },
          "the consumer was deleted: made it anew; what was in flight is delivered once more",
        );
      } catch (error) {
        throw error instanceof QueueUnavailableError
          ? error
          : new QueueUnavailableError(`JetStream: ${messageOf(error)}`, { cause: error });
      } finally {
        restoring = null;
      }
    })();
    return restoring;
  }

  /** Why nothing comes, once for as long as it stays so: a paused consumer answers each pull as one with nothing to do. */
  async function checkDeliveries(): Promise<void> {
    const nowMs = clock.monotonicMs();
    if (nowMs - deliveryCheckedMs < DELIVERY_CHECK_INTERVAL_MS) return;
    deliveryCheckedMs = nowMs;
    const before = notDelivering;
    notDelivering = (await consumerState()).notDelivering;
    if (notDelivering === before) return;
    const where = { stream: names.stream, consumer: names.consumer };
    if (notDelivering !== null) log.error(where, notDelivering);
    else log.info(where, "the queue delivers to workers again");
  }

  function linger(gone: Promise<void>): void {
    lingering.add(gone);
    void gone.then(() => lingering.delete(gone));
  }

  /** What a request that brought no message calls for before the next one. */
  async function recover(end: PullEnd, pauseMs: number, signal: AbortSignal): Promise<void> {
    switch (end) {
      case "over":
      case "aborted":
      case "too large":
        return;
      case "connection lost":
        throw new QueueUnavailableError(connection.outage() ?? "NATS: the connection was lost");
      case "silence":
        throw new QueueUnavailableError("JetStream: no answer to a pull");
      case "no consumer":
        await restoreConsumer();
        break;
      case "not now":
        break;
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }

  return {
    stream: names.stream,
    deadLetters: createDeadLetters(connection, names),
    attempts: createAttempts(connection, options),
    ackWaitMs: options.ackWaitMs,

    async publish({ id, body }) {
      await asking(() =>
        publishTo(connection, names.publishSubject, body, {
          msgID: id,
          expect: { streamName: names.stream },
        }),
      );
    },

    async pull({ maxMessages, maxBytes, waitMs, signal }) {
      const deadlineMs = clock.monotonicMs() + waitMs;
      let limits: { maxMessages: number; maxBytes: number | undefined } = { maxMessages, maxBytes };
      let pauseMs = PULL_PAUSE_MS_MIN;
      for (;;) {
        if (signal.aborted) return [];
        const outage = closed.signal.aborted ? "NATS: closed" : connection.outage();
        if (outage !== null) throw new QueueUnavailableError(outage);
        const leftMs = Math.max(0, deadlineMs - clock.monotonicMs());
        const { arrivals, end } = await pullOnce(connection, {
          stream: names.stream,
          consumer: names.consumer,
          ...limits,
          expiresMs: Math.min(PULL_REQUEST_MS_MAX, Math.ceil(leftMs)),
          signals: [signal, closed.signal],
          nakUnwanted: deliveries.nakUnwanted,
          onLinger: linger,
        });
        if (arrivals.length > 0) return arrivals.map(deliveries.take);
        if (end === "aborted") return [];
        // Nothing waits for it; what cannot be asked now is asked again.
        if (end === "over" || end === "not now") checkDeliveries().catch(() => undefined);
        // One message has to come, however large it is.
        if (end === "too large") limits = { maxMessages: 1, maxBytes: undefined };
        await recover(end, pauseMs, signal);
        if (end !== "too large" && clock.monotonicMs() >= deadlineMs) return [];
        pauseMs =
          end === "not now" || end === "no consumer"
            ? Math.min(pauseMs * 2, PULL_PAUSE_MS_MAX)
            : PULL_PAUSE_MS_MIN;
      }
    },

    ack: (acked) => whileOpen(acked, deliveries.ack),
    nak: (nacked, delayMs) => whileOpen(nacked, (held) => deliveries.nak(held, delayMs)),
    extend: (held) => whileOpen(held, deliveries.extend),

    async identity() {
      return `${names.stream} ${(await streamInfo()).created}`;
    },

    async newestSequence() {
      const { state, config } = await streamInfo();
      // An empty stream that never held a message ends right before the number that it starts from.
      return state.last_seq < Math.max(1, config.first_seq) ? 0 : state.last_seq;
    },

    async isAckedThrough(sequence) {
      const { state } = await streamInfo();
      // A work queue deletes what is acked, so that its first message is the oldest unacked one, whatever gaps
      // are above it.
      return state.messages === 0 || state.first_seq > sequence;
    },

    // The server has the files; a dead letter that is removed goes from them as it compacts (jetstream/dead-letters.ts).
    async scrub() {
      if (closing !== null) throw new QueueUnavailableError("NATS: closed");
    },

    async stats() {
      const [{ state, config }, consumer] = await Promise.all([streamInfo(), consumerState()]);
      return {
        pending: state.messages,
        ...consumer,
        oldestPendingSeconds: oldestAgeMs(state, clock.nowMs()) / 1_000,
        bytes: state.bytes,
        limitBytes: config.max_bytes,
      };
    },

    async health() {
      try {
        const [info, { notDelivering }] = await Promise.all([streamInfo(), consumerState()]);
        if (hasMajority(info)) return { healthy: true, ...(notDelivering === null ? {} : { notDelivering }) };
        return {
          healthy: false,
          reason: `JetStream: most replicas of the stream ${names.stream} are silent`,
        };
      } catch (error) {
        return { healthy: false, reason: messageOf(error) };
      }
    },

    close() {
      closing ??= (async () => {
        closed.abort();
        await within(CLOSE_WAIT_MS_MAX, Promise.all(lingering), () => undefined);
        await connection.close();
      })();
      return closing;
    },
  };

  /** `inFlight`: messages that a worker holds or that wait for a delay; the server counts both together. */
  async function consumerState(): Promise<Pick<QueueStats, "inFlight" | "notDelivering">> {
    return asking(async () => {
      try {
        const info = await connection.request(() => manager.consumers.info(names.stream, names.consumer));
        return { inFlight: info.num_ack_pending, notDelivering: deliveryProblem(info, names) };
      } catch (error) {
        // The next pull makes it anew.
        if (apiCodeOf(error) === API_ERROR.consumerNotFound) return { inFlight: 0, notDelivering: null };
        throw error;
      }
    });
  }

  async function whileOpen<Item>(
    items: readonly Item[],
    send: (items: readonly Item[]) => Promise<void>,
  ): Promise<void> {
    if (closing !== null) throw new QueueUnavailableError("NATS: closed");
    if (items.length > 0) await send(items);
  }
}

function oldestAgeMs({ messages, first_ts }: StreamInfo["state"], nowMs: number): number {
  return messages === 0 ? 0 : Math.max(0, nowMs - (parseInstant(first_ts) ?? nowMs));
}
