import { type ConsumerConfig, type ConsumerUpdateConfig, nanos, type StreamConfig } from "nats";
import { EngineStartError } from "../ports/errors.ts";
import type { Log } from "../telemetry/logger.ts";
import type { Connection } from "./connection.ts";
import { API_ERROR, apiCodeOf, isNoResponders, messageOf } from "./errors.ts";
import type { JetStreamNames } from "./names.ts";
import {
  attemptsOf,
  CONSUMER_FIXED,
  CONSUMER_FREE,
  consumerProblem,
  differences,
  MAX_ACK_PENDING,
  replicaProblem,
  streamProblem,
  type TopologyOptions,
  type WantedStream,
  wantedStreams,
} from "./stream-plan.ts";

/** The largest message that group commit and the dead letters may make. */
const MAX_PAYLOAD_BYTES_MIN = 1024 * 1024;
/** Dead letters are kept unique by a header that 2.11 brought (Nats-Expected-Last-Subject-Sequence-Subject). */
const SERVER_VERSION_MIN = { major: 2, minor: 11 };
/** Pulls that wait, over all processes and loops. */
const MAX_WAITING = 4_096;

/**
 * Makes the server fit: creates what is missing, alters what can be altered without harm, and refuses the rest.
 *
 * @throws EngineStartError one line: which setting, what it is, what is expected, what to do.
 * @throws QueueUnavailableError the server cannot answer now.
 */
export async function ensureTopology(connection: Connection, options: TopologyOptions): Promise<void> {
  await checkServer(connection, options);
  for (const wanted of wantedStreams(options)) await ensureStream(connection, wanted, options.log);
  await ensureConsumer(connection, options);
}

/** The bucket of attempt records. Each process may make it anew: an empty one gives poison candidates another attempt. */
export async function ensureAttempts(
  connection: Connection,
  options: Pick<TopologyOptions, "names" | "replicas" | "log">,
): Promise<void> {
  await ensureStream(connection, attemptsOf(options), options.log);
}

/** Whether the server can be used at all. @throws as ensureTopology. */
export async function checkServer(
  connection: Connection,
  { replicas, log }: Pick<TopologyOptions, "replicas" | "log">,
): Promise<void> {
  const info = connection.nats.info;
  const at = `the NATS server at ${connection.nats.getServer()}`;
  try {
    await connection.request(() => connection.manager.getAccountInfo());
  } catch (error) {
    const code = apiCodeOf(error);
    if (code === API_ERROR.notEnabledForAccount) {
      throw new EngineStartError(
        `${at} has JetStream off for this account: turn it on, or use another account`,
      );
    }
    const unanswered = error instanceof Error && isNoResponders(error.cause);
    if (code === API_ERROR.notEnabled || (unanswered && info?.jetstream !== true)) {
      throw new EngineStartError(
        `${at} runs without JetStream: start it with \`jetstream {}\` in its configuration, or -js`,
      );
    }
    throw code === null ? error : startError("JetStream", error);
  }
  if (info === undefined) return;
  const [major = 0, minor = 0] = info.version.split(".").map(Number);
  if (
    major < SERVER_VERSION_MIN.major ||
    (major === SERVER_VERSION_MIN.major && minor < SERVER_VERSION_MIN.minor)
  ) {
    const wanted = `${SERVER_VERSION_MIN.major}.${SERVER_VERSION_MIN.minor}`;
    throw new EngineStartError(`${at} is version ${info.version}: ${wanted} or newer is needed`);
  }
  if (info.max_payload < MAX_PAYLOAD_BYTES_MIN) {
    throw new EngineStartError(
      `${at} has max_payload=${info.max_payload}: at least ${MAX_PAYLOAD_BYTES_MIN} (1MB) is needed; raise it in its configuration`,
    );
  }
  const problem = replicaProblem(info.cluster, replicas);
  if (problem !== null) log.warn({ cluster: info.cluster }, problem);
}

async function ensureStream(connection: Connection, wanted: WantedStream, log: Log): Promise<void> {
  const { streams } = connection.manager;
  const { name } = wanted.fixed;
  const found = (await findStream(connection, name)) ?? (await addStream(connection, wanted, log));
  if (found === null) return;
  const problem = streamProblem(found, wanted);
  if (problem !== null) throw new EngineStartError(problem);
  const changes = differences(found, wanted.alterable);
  if (Object.keys(changes).length === 0) return;
  await asking(`the stream ${name}`, wanted.sizedBy, () =>
    connection.request(() => streams.update(name, { ...wanted.alterable })),
  );
  log.info({ stream: name, changes }, "altered a NATS stream to fit the configuration");
}

async function findStream(connection: Connection, name: string): Promise<StreamConfig | null> {
  try {
    return (await connection.request(() => connection.manager.streams.info(name))).config;
  } catch (error) {
    if (apiCodeOf(error) === API_ERROR.streamNotFound) return null;
    throw startError(`the stream ${name}`, error);
  }
}

/** @returns null where the stream is made as wanted; what is there where another process was faster. */
async function addStream(
  connection: Connection,
  wanted: WantedStream,
  log: Log,
): Promise<StreamConfig | null> {
  const { name } = wanted.fixed;
  try {
    await connection.request(() =>
      connection.manager.streams.add({ ...wanted.fixed, ...wanted.alterable, ...wanted.initial }),
    );
    log.info({ stream: name }, "made a NATS stream");
    return null;
  } catch (error) {
    if (apiCodeOf(error) === API_ERROR.streamNameInUse) return findStream(connection, name);
    throw startError(`the stream ${name}`, error, wanted.sizedBy);
  }
}

/**
 * Creates the durable consumer where it is missing. What it delivered is then delivered again: nothing is lost, and
 * the counts of deliveries begin anew.
 *
 * @returns whether it was missing.
 */
export async function ensureConsumer(
  connection: Connection,
  { names, ackWaitMs, log }: Pick<TopologyOptions, "names" | "ackWaitMs" | "log">,
): Promise<boolean> {
  const { consumers } = connection.manager;
  const { stream, consumer } = names;
  const what = `the consumer ${consumer} of the stream ${stream}`;
  const alterable: Partial<ConsumerUpdateConfig> = {
    ...CONSUMER_FREE,
    ack_wait: nanos(ackWaitMs),
    max_ack_pending: MAX_ACK_PENDING,
  };
  const found = await findConsumer(connection, names);
  if (found === null) {
    await asking(what, "QUEUE_REPLICAS", () =>
      connection.request(() =>
        consumers.add(stream, {
          durable_name: consumer,
          max_waiting: MAX_WAITING,
          ...CONSUMER_FIXED,
          ...alterable,
        }),
      ),
    );
    return true;
  }
  const problem = consumerProblem(found, names);
  if (problem !== null) throw new EngineStartError(problem);
  const changes = differences(found, alterable);
  if (Object.keys(changes).length > 0) {
    await asking(what, "QUEUE_REPLICAS", () =>
      connection.request(() => consumers.update(stream, consumer, alterable)),
    );
    log.info({ stream, consumer, changes }, "altered a NATS consumer to fit the configuration");
  }
  return false;
}

async function findConsumer(connection: Connection, names: JetStreamNames): Promise<ConsumerConfig | null> {
  const { stream, consumer } = names;
  try {
    return (await connection.request(() => connection.manager.consumers.info(stream, consumer))).config;
  } catch (error) {
    if (apiCodeOf(error) === API_ERROR.consumerNotFound) return null;
    throw startError(`the consumer ${consumer} of the stream ${stream}`, error);
  }
}

async function asking<Answer>(what: string, sizedBy: string, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    throw startError(what, error, sizedBy);
  }
}

/** What JetStream refused, as one line with what to do; an error that is no answer of JetStream's stays as it is. */
function startError(what: string, error: unknown, sizedBy = ""): Error {
  const code = apiCodeOf(error);
  if (code === null) return error as Error;
  const said = messageOf(error);
  return new EngineStartError(`NATS refuses ${what} (${said}): ${remedyOf(code, sizedBy)}`, { cause: error });
}

function remedyOf(code: number, sizedBy: string): string {
  switch (code) {
    case API_ERROR.replicasNotSupported:
      return "this server is no cluster; set QUEUE_REPLICAS=1, or use a cluster";
    case API_ERROR.noSuitablePeers:
      return "the cluster has too few servers with JetStream and room; lower QUEUE_REPLICAS, or add servers";
    case API_ERROR.subjectsOverlap:
      return "another stream takes these subjects; find it with `nats stream ls`, and delete it or change its subjects";
    case API_ERROR.consumerNotAlone:
    case API_ERROR.filteredConsumerNotAlone:
      return "another consumer takes the messages; find it with `nats consumer ls`, and delete it";
    case API_ERROR.accountResourcesExceeded:
    case API_ERROR.insufficientResources:
    case API_ERROR.storageResourcesExceeded:
    case API_ERROR.streamMaxBytesOverAccountLimit:
      return `it has not that much room; lower ${sizedBy}, or raise max_file_store of the server (or the account's limits)`;
    default:
      return "see the server's log";
  }
}
