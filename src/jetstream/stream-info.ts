import { millis, type StreamInfo } from "nats";
import { QueueUnavailableError } from "../ports/errors.ts";
import type { Connection } from "./connection.ts";

/** A replica that its leader has not heard of for this long is not counted on. They speak every second. */
const REPLICA_SILENT_MS = 10_000;

/**
 * What a stream holds, by its leader's word. Without a leader any server of the stream answers, from what it happens
 * to have: that is no answer.
 *
 * @throws QueueUnavailableError, or NatsError where there is no such stream.
 */
export async function readStreamInfo(connection: Connection, name: string): Promise<StreamInfo> {
  const info = await connection.request(() => connection.manager.streams.info(name));
  if (info.cluster !== undefined && !info.cluster.leader) {
    throw new QueueUnavailableError(
      `JetStream: the stream ${name} has no leader: a majority of its servers has to be up`,
    );
  }
  return info;
}

/** Whether enough replicas are there to store a message: a leader that lost them goes on answering for a while. */
export function hasMajority({ cluster }: StreamInfo): boolean {
  const replicas = cluster?.replicas ?? [];
  const heard = replicas.filter(
    ({ active, offline }) => !offline && millis(active) < REPLICA_SILENT_MS,
  ).length;
  return 1 + heard > (replicas.length + 1) / 2;
}
