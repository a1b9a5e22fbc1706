import type { StreamInfo } from "nats";
import {
  type ClockReading,
  clockFinding,
  type Finding,
  failed,
  ok,
  spaceFinding,
  warning,
} from "../domain/finding.ts";
import { parseInstant } from "../domain/instant.ts";
import { type Connection, type ConnectOptions, openConnection } from "./connection.ts";
import { API_ERROR, apiCodeOf, messageOf } from "./errors.ts";
import { type JetStreamNames, namesOf } from "./names.ts";
import { hasMajority } from "./stream-info.ts";
import {
  deliveryProblem,
  differences,
  replicaProblem,
  streamProblem,
  type TopologyOptions,
  type WantedStream,
  wantedStreams,
} from "./stream-plan.ts";
import { checkServer } from "./topology.ts";

/** How long a server may take to answer at all. */
const ANSWER_TIMEOUT_MS = 5_000;

export type JetStreamDoctorOptions = Omit<ConnectOptions, "connectTimeoutMs" | "requestTimeoutMs"> &
  Omit<TopologyOptions, "names"> & { readonly namespace: string };

/** Looks at the queue's servers and streams as this configuration would use them. Changes nothing. */
export async function diagnoseJetStream(options: JetStreamDoctorOptions): Promise<Finding[]> {
  let connection: Connection;
  try {
    connection = await openConnection({
      ...options,
      connectTimeoutMs: ANSWER_TIMEOUT_MS,
      requestTimeoutMs: ANSWER_TIMEOUT_MS,
    });
  } catch (error) {
    return [failed("queue", messageOf(error))];
  }
  try {
    await checkServer(connection, options);
    const info = connection.nats.info;
    const cluster = info?.cluster === undefined ? "" : `, cluster ${info.cluster}`;
    return [
      ok("queue", `NATS ${info?.version} at ${connection.nats.getServer()}${cluster}`),
      ...(await streamFindings(connection, { ...options, names: namesOf(options.namespace) })),
    ];
  } catch (error) {
    return [failed("queue", messageOf(error))];
  } finally {
    await connection.close();
  }
}

interface FoundStream {
  readonly wanted: WantedStream;
  readonly info: StreamInfo | null;
}

async function streamFindings(connection: Connection, options: TopologyOptions): Promise<Finding[]> {
  const found: FoundStream[] = [];
  const readings: ClockReading[] = [];
  for (const wanted of wantedStreams(options)) {
    const beforeMs = options.clock.nowMs();
    const info = await orNull(() => connection.manager.streams.info(wanted.fixed.name), connection);
    found.push({ wanted, info });
    const theirs = toldTime(info);
    if (theirs !== null)
      readings.push({
        who: connection.nats.getServer(),
        beforeMs,
        theirsMs: theirs,
        afterMs: options.clock.nowMs(),
      });
  }
  const [queue, deadLetters] = found;
  return [
    fitFinding(found),
    ...(await deliveryFindings(connection, options.names)),
    replicaFinding(connection, options, found),
    ...roomFindings("queue space", queue, "see that workers run, or raise QUEUE_MAX_BYTES"),
    ...roomFindings(
      "dead letters",
      deadLetters,
      "discard dead letters that are not needed, or raise DEAD_LETTER_MAX_BYTES",
    ),
    ...(readings.length === 0 ? [] : [clockFinding("queue clock", readings)]),
  ];
}

/** Whether workers get what is in the queue. */
async function deliveryFindings(connection: Connection, names: JetStreamNames): Promise<Finding[]> {
  const consumer = await orNull(
    () => connection.manager.consumers.info(names.stream, names.consumer),
    connection,
  );
  if (consumer === null) return [];
  const problem = deliveryProblem(consumer, names);
  const check = "queue consumer";
  return [problem === null ? ok(check, "workers get what is in the queue") : failed(check, problem)];
}

function fitFinding(found: readonly FoundStream[]): Finding {
  const check = "queue streams";
  const missing = found.filter(({ info }) => info === null).map(({ wanted }) => wanted.fixed.name);
  if (missing.length === found.length) return warning(check, "none yet: the first start makes them");
  if (missing.length > 0)
    return failed(
      check,
      `${missing.join(", ")} is missing: restore it from a backup, or restart a process, which makes it anew and empty`,
    );
  const problems = found
    .map(({ wanted, info }) => (info === null ? null : streamProblem(info.config, wanted)))
    .filter((problem) => problem !== null);
  if (problems.length > 0) return failed(check, problems.join("; "));
  const changes = found.flatMap(({ wanted, info }) =>
    Object.entries(differences(info?.config ?? {}, wanted.alterable)).map(
      ([setting, change]) => `${wanted.fixed.name} ${setting} ${change}`,
    ),
  );
  if (changes.length > 0) {
    return warning(
      check,
      `a start with these settings alters ${changes.join(", ")}: give all processes the same settings`,
    );
  }
  return ok(check, `${found.map(({ wanted }) => wanted.fixed.name).join(", ")} are as configured`);
}

function replicaFinding(
  connection: Connection,
  { replicas }: TopologyOptions,
  found: readonly FoundStream[],
): Finding {
  const check = "queue replicas";
  const cluster = connection.nats.info?.cluster;
  const infos = found.flatMap(({ info }) => info ?? []);
  const silent = infos.find((info) => !hasMajority(info));
  if (silent !== undefined) {
    return failed(check, `most replicas of ${silent.config.name} are silent: start their servers`);
  }
  const away = infos.flatMap((info) => (info.cluster?.replicas ?? []).filter(({ current }) => !current));
  if (away.length > 0) {
    const names = [...new Set(away.map(({ name }) => name))].join(", ");
    return warning(
      check,
      `${names} is away or behind: one more loss stops the queue; start it, or wait until it caught up`,
    );
  }
  if (cluster === undefined && replicas > 1) {
    return failed(check, `QUEUE_REPLICAS=${replicas} and this server is no cluster: set 1, or use a cluster`);
  }
  const problem = replicaProblem(cluster, replicas);
  return problem === null ? ok(check, `QUEUE_REPLICAS=${replicas}`) : warning(check, problem);
}

function roomFindings(check: string, stream: FoundStream | undefined, remedy: string): Finding[] {
  const info = stream?.info ?? null;
  if (info === null) return [];
  return [spaceFinding(check, info.state.bytes, info.config.max_bytes, remedy)];
}

/** When the server answered, as it says since 2.10; the client's types don't know it. */
function toldTime(info: (StreamInfo & { readonly ts?: string }) | null): number | null {
  return parseInstant(info?.ts ?? "");
}

async function orNull<Found>(find: () => Promise<Found>, connection: Connection): Promise<Found | null> {
  try {
    return await connection.request(find);
  } catch (error) {
    const code = apiCodeOf(error);
    if (code === API_ERROR.streamNotFound || code === API_ERROR.consumerNotFound) return null;
    throw error;
  }
}
