import {
  AckPolicy,
  type ConsumerConfig,
  type ConsumerUpdateConfig,
  DeliverPolicy,
  DiscardPolicy,
  millis,
  nanos,
  ReplayPolicy,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamUpdateConfig,
} from "nats";
import { DAY_MS, type WallClock } from "../domain/time.ts";
import { EngineStartError } from "../ports/errors.ts";
import type { Connection } from "./connection.ts";
import { API_ERROR, apiCodeOf, isNoResponders, messageOf } from "./errors.ts";
import type { Log } from "./log.ts";
import type { JetStreamNames } from "./names.ts";

/** The largest message that group commit and the dead letters may make. */
const MAX_PAYLOAD_BYTES_MIN = 1024 * 1024;
/** Dead letters are kept unique by a header that 2.11 brought (Nats-Expected-Last-Subject-Sequence-Subject). */
const SERVER_VERSION_MIN = { major: 2, minor: 11 };
/** How long a message's id is remembered, as the port promises. */
const DUPLICATE_WINDOW_MS = 2 * 60_000;
/** Messages in the hands of workers, over all processes: what one outage of the store can take out of the queue. */
export const MAX_ACK_PENDING = 10_000;
/** Notes of lone tries: some 250 bytes each, and only of messages that were delivered more than five times. */
const ATTEMPTS_BYTES_MAX = 16 * 1024 * 1024;
/** A note counts when its message is delivered again: half a minute later, or when there are workers again. */
const ATTEMPTS_DAYS = 7;
/** Pulls that wait, over all processes and loops. */
const MAX_WAITING = 4_096;

export interface TopologyOptions {
  readonly names: JetStreamNames;
  readonly queueMaxBytes: number;
  readonly replicas: number;
  readonly deadLetterDays: number;
  readonly deadLetterMaxBytes: number;
  readonly ackWaitMs: number;
  readonly clock: WallClock;
  readonly log: Log;
}

/**
 * Makes the server fit: creates what is missing, alters what can be altered without harm, and refuses the rest.
 *
 * @throws EngineStartError one line: which setting, what it is, what is expected, what to do.
 * @throws QueueUnavailableError the server cannot answer now.
 */
export async function ensureTopology(connection: Connection, options: TopologyOptions): Promise<void> {
  await checkServer(connection, options);
  await ensureStream(connection, workQueueOf(options), options.log);
  await ensureStream(connection, deadLettersOf(options), options.log);
  await ensureAttempts(connection, options);
  await ensureConsumer(connection, options);
}

/** The bucket of lone tries. Anybody may make it anew: where it is empty, suspects get another try. */
export async function ensureAttempts(
  connection: Connection,
  options: Pick<TopologyOptions, "names" | "replicas" | "log">,
): Promise<void> {
  await ensureStream(connection, attemptsOf(options), options.log);
}

async function checkServer(connection: Connection, { replicas, log }: TopologyOptions): Promise<void> {
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
  if (info.cluster !== undefined && replicas === 1) {
    log.warn(
      { cluster: info.cluster },
      "QUEUE_REPLICAS=1 on a NATS cluster: the loss of one server loses acknowledged impressions; set QUEUE_REPLICAS=3",
    );
  }
}

/** A stream as it has to be: what must be so, and what is made so. */
interface WantedStream {
  readonly fixed: Pick<StreamConfig, "name" | "subjects" | "retention" | "storage" | "discard" | KeepsAll> &
    Partial<Pick<StreamConfig, "max_age">>;
  readonly alterable: Pick<StreamUpdateConfig, "max_bytes" | "num_replicas" | "duplicate_window"> &
    Partial<Pick<StreamUpdateConfig, "max_age">>;
  /** For a stream that is made new. */
  readonly initial: Partial<StreamConfig>;
  /** The settings of ours that size it. */
  readonly sizedBy: string;
}
/** Each of them can make the server drop or refuse messages. */
type KeepsAll = "max_msgs" | "max_msgs_per_subject" | "max_msg_size";

const KEEPS_ALL: Pick<StreamConfig, KeepsAll> = { max_msgs: -1, max_msgs_per_subject: -1, max_msg_size: -1 };

function workQueueOf({ names, queueMaxBytes, replicas, clock }: TopologyOptions): WantedStream {
  return {
    fixed: {
      name: names.stream,
      subjects: [names.subjects],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      max_age: 0,
      ...KEEPS_ALL,
    },
    alterable: {
      max_bytes: queueMaxBytes,
      num_replicas: replicas,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    },
    initial: {
      description: "Impressions on their way to the store",
      // A sequence names its message for ever, in dead letters above all. A stream that is deleted and made again must
      // not count from 1: microseconds run ahead of any rate of messages, and stay exact in a double until 2255.
      first_seq: clock.nowMs() * 1_000,
    },
    sizedBy: "QUEUE_MAX_BYTES and QUEUE_REPLICAS",
  };
}

function deadLettersOf(options: TopologyOptions): WantedStream {
  return {
    fixed: {
      name: options.names.deadLetterStream,
      subjects: [options.names.deadLetterSubjects],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      ...KEEPS_ALL,
    },
    alterable: {
      max_bytes: options.deadLetterMaxBytes,
      num_replicas: options.replicas,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
      max_age: nanos(options.deadLetterDays * DAY_MS),
    },
    initial: { description: "Impressions that could not be stored" },
    sizedBy: "DEAD_LETTER_MAX_BYTES and QUEUE_REPLICAS",
  };
}

/** As the key-value buckets of NATS are laid out, so that `nats kv get` reads it. */
function attemptsOf({ names, replicas }: Pick<TopologyOptions, "names" | "replicas">): WantedStream {
  return {
    fixed: {
      name: names.attemptsStream,
      subjects: [names.attemptsSubjects],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      // Where it is full the oldest notes go: their messages get another try. Refusing new ones would keep every
      // suspect in the queue.
      discard: DiscardPolicy.Old,
      ...KEEPS_ALL,
      max_msgs_per_subject: 1,
    },
    alterable: {
      max_bytes: ATTEMPTS_BYTES_MAX,
      num_replicas: replicas,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
      max_age: nanos(ATTEMPTS_DAYS * DAY_MS),
    },
    initial: { description: "Messages that are tried alone", allow_rollup_hdrs: true },
    sizedBy: "QUEUE_MAX_BYTES or DEAD_LETTER_MAX_BYTES, and QUEUE_REPLICAS",
  };
}

async function ensureStream(connection: Connection, wanted: WantedStream, log: Log): Promise<void> {
  const { streams } = connection.manager;
  const { name } = wanted.fixed;
  const found = (await findStream(connection, name)) ?? (await addStream(connection, wanted, log));
  if (found === null) return;
  for (const [setting, expected] of Object.entries(wanted.fixed)) {
    const actual = found[setting as keyof StreamConfig];
    if (sameValue(actual, expected)) continue;
    throw new EngineStartError(
      `the NATS stream ${name} has ${setting}=${printable(setting, actual)}, and ${printable(setting, expected)} is needed: ` +
        `correct it (nats stream edit ${name}), or move it away (nats stream rm ${name}, which deletes its messages)`,
    );
  }
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

/** Cannot be altered: another consumer has to be made. */
const CONSUMER_FIXED = {
  ack_policy: AckPolicy.Explicit,
  deliver_policy: DeliverPolicy.All,
  replay_policy: ReplayPolicy.Instant,
} as const satisfies Partial<ConsumerConfig>;

/** It is pulled from, and gets everything. */
const CONSUMER_UNSET = ["deliver_subject", "filter_subject", "filter_subjects"] as const;

/** Limits and delays of the server's that would get in the way of ours: none of them. */
const CONSUMER_FREE = {
  max_deliver: -1,
  backoff: [],
  max_batch: 0,
  max_expires: 0,
  max_bytes: 0,
  inactive_threshold: 0,
  headers_only: false,
} as const satisfies Partial<ConsumerUpdateConfig>;

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
  const unset = CONSUMER_UNSET.map((setting) => [setting, undefined] as const);
  for (const [setting, expected] of [...Object.entries(CONSUMER_FIXED), ...unset]) {
    const actual = found[setting as keyof ConsumerConfig];
    if (sameValue(actual, expected)) continue;
    throw new EngineStartError(
      `${what} has ${setting}=${printable(setting, actual)}, and ${printable(setting, expected)} is needed: ` +
        `delete it (nats consumer rm ${stream} ${consumer}); it is made anew, and no message is lost`,
    );
  }
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

/** The settings that differ: what they are, and what they become. */
function differences(found: object, wanted: object): Record<string, string> {
  const changes: Record<string, string> = {};
  for (const [setting, expected] of Object.entries(wanted)) {
    const actual: unknown = (found as Record<string, unknown>)[setting];
    if (!sameValue(actual, expected)) {
      changes[setting] = `${printable(setting, actual)} -> ${printable(setting, expected)}`;
    }
  }
  return changes;
}

/** The server leaves out what is at its zero value, and gives some limits back as -1. */
function sameValue(actual: unknown, expected: unknown): boolean {
  return JSON.stringify(normal(actual)) === JSON.stringify(normal(expected));
}

function normal(value: unknown): unknown {
  const isUnset =
    value === undefined || value === null || value === "" || value === 0 || value === -1 || value === false;
  return isUnset || (Array.isArray(value) && value.length === 0) ? "none" : value;
}

/** Durations stand in nanoseconds. */
function printable(setting: string, value: unknown): string {
  if (normal(value) === "none") return "none";
  const isDuration = /_age$|_wait$|_window$|_expires$|_threshold$/.test(setting);
  return isDuration ? `${millis(Number(value))}ms` : Array.isArray(value) ? value.join(",") : String(value);
}
