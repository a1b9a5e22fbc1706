import {
  AckPolicy,
  type ConsumerConfig,
  type ConsumerInfo,
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
import type { Log } from "../telemetry/logger.ts";
import type { JetStreamNames } from "./names.ts";

/** Pure: what the streams and the consumer have to be like, and how what is there differs. */

/** How long a message's id is remembered, as the port promises. */
const DUPLICATE_WINDOW_MS = 2 * 60_000;
/** Attempt records: some 250 bytes each, and only of messages that were delivered more than five times. */
const ATTEMPTS_BYTES_MAX = 16 * 1024 * 1024;
/** A note counts when its message is delivered again: half a minute later, or when there are workers again. */
const ATTEMPTS_DAYS = 7;

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

/** A stream as it has to be: what must be so, and what is made so. */
export interface WantedStream {
  readonly fixed: Pick<StreamConfig, "name" | "subjects" | "retention" | "storage" | "discard" | KeepsAll> &
    Partial<Pick<StreamConfig, "max_age">>;
  readonly alterable: Pick<StreamUpdateConfig, "max_bytes" | "num_replicas" | "duplicate_window"> &
    Partial<Pick<StreamUpdateConfig, "max_age">>;
  /** What it must not have beside STREAM_UNSET. */
  readonly unset?: readonly (keyof StreamConfig)[];
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
    unset: ["deny_delete"],
    initial: { description: "Impressions that could not be stored" },
    sizedBy: "DEAD_LETTER_MAX_BYTES and QUEUE_REPLICAS",
  };
}

/** All streams of an installation. */
export function wantedStreams(options: TopologyOptions): WantedStream[] {
  return [workQueueOf(options), deadLettersOf(options), attemptsOf(options)];
}

/** As the key-value buckets of NATS are laid out, so that `nats kv get` reads it. */
export function attemptsOf({ names, replicas }: Pick<TopologyOptions, "names" | "replicas">): WantedStream {
  return {
    fixed: {
      name: names.attemptsStream,
      subjects: [names.attemptsSubjects],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      // A full bucket drops the oldest records: their messages get another attempt. Refusing new ones would keep every
      // poison candidate in the queue.
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
    initial: { description: "Attempt records of poison candidates", allow_rollup_hdrs: true },
    sizedBy: "QUEUE_MAX_BYTES or DEAD_LETTER_MAX_BYTES, and QUEUE_REPLICAS",
  };
}

/** Cannot be altered: another consumer has to be made. */
export const CONSUMER_FIXED = {
  ack_policy: AckPolicy.Explicit,
  deliver_policy: DeliverPolicy.All,
  replay_policy: ReplayPolicy.Instant,
} as const satisfies Partial<ConsumerConfig>;

/** Every worker pulls from it, and it gets everything. The client's types know no priority groups. */
const CONSUMER_UNSET = ["deliver_subject", "filter_subject", "filter_subjects", "priority_groups"] as const;
/** A stream with one of these takes nothing, confirms nothing, or holds what was not published to it. */
const STREAM_UNSET = ["sealed", "no_ack", "mirror", "sources", "subject_transform"] as const;
/** Messages in the hands of workers, over all processes: what one outage of the store can take out of the queue. */
export const MAX_ACK_PENDING = 10_000;

/** Limits and delays of the server's that would get in the way of ours: none of them. */
export const CONSUMER_FREE = {
  max_deliver: -1,
  backoff: [],
  max_batch: 0,
  max_expires: 0,
  max_bytes: 0,
  inactive_threshold: 0,
  headers_only: false,
} as const satisfies Partial<ConsumerUpdateConfig>;

/** What keeps a stream from being used: a line that says what to do; null where it fits, or can be made to. */
export function streamProblem(found: StreamConfig, { fixed, unset = [] }: WantedStream): string | null {
  const unsettled = [...STREAM_UNSET, ...unset].map((setting) => [setting, undefined] as const);
  for (const [setting, expected] of [...Object.entries(fixed), ...unsettled]) {
    const actual = found[setting as keyof StreamConfig];
    if (sameValue(actual, expected)) continue;
    return (
      `the NATS stream ${fixed.name} has ${setting}=${printable(setting, actual)}, and ${printable(setting, expected)} is needed: ` +
      `correct it (nats stream edit ${fixed.name}), or move it away (nats stream rm ${fixed.name}, which deletes its messages)`
    );
  }
  return null;
}

/** The same of the consumer. */
export function consumerProblem(found: ConsumerConfig, { stream, consumer }: JetStreamNames): string | null {
  const unset = CONSUMER_UNSET.map((setting) => [setting, undefined] as const);
  for (const [setting, expected] of [...Object.entries(CONSUMER_FIXED), ...unset]) {
    const actual = found[setting as keyof ConsumerConfig];
    if (sameValue(actual, expected)) continue;
    return (
      `the consumer ${consumer} of the stream ${stream} has ${setting}=${printable(setting, actual)}, and ` +
      `${printable(setting, expected)} is needed: delete it (nats consumer rm ${stream} ${consumer}); it is made anew, and ` +
      "no message is lost"
    );
  }
  return null;
}

/** Why the consumer hands out nothing, or less than workers could take; null where it does its work. */
export function deliveryProblem({ paused, config }: ConsumerInfo, names: JetStreamNames): string | null {
  const { stream, consumer } = names;
  if (paused === true) {
    return (
      `deliveries are paused until ${config.pause_until}: nothing is stored before; to go on now: ` +
      `nats consumer resume ${stream} ${consumer}`
    );
  }
  const problem = consumerProblem(config, names);
  if (problem !== null) return problem;
  const pendingMax = config.max_ack_pending ?? 0;
  if (pendingMax <= 0 || pendingMax >= MAX_ACK_PENDING) return null;
  return (
    `the consumer ${consumer} of the stream ${stream} gives workers ${pendingMax} messages at a time, and ${MAX_ACK_PENDING} ` +
    "are needed (max_ack_pending): restart a worker, which alters it"
  );
}

/** One replica on a cluster has to be a decision, not an accident; null where it fits. */
export function replicaProblem(cluster: string | undefined, replicas: number): string | null {
  return cluster !== undefined && replicas === 1
    ? "QUEUE_REPLICAS=1 on a NATS cluster: the loss of one server loses acknowledged impressions; set QUEUE_REPLICAS=3"
    : null;
}

/** The settings that differ: what they are, and what they become. */
export function differences(found: object, wanted: object): Record<string, string> {
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
  if (isDuration) return `${millis(Number(value))}ms`;
  const values = Array.isArray(value) ? value : [value];
  return values.map((each) => (typeof each === "object" ? JSON.stringify(each) : String(each))).join(",");
}
