import { headers } from "nats";
import type { Attempts } from "../ports/attempts.ts";
import type { Log } from "../telemetry/logger.ts";
import type { Connection } from "./connection.ts";
import { API_ERROR, apiCodeOf, queueError } from "./errors.ts";
import type { JetStreamNames } from "./names.ts";
import { publishTo } from "./publish.ts";
import { ensureAttempts } from "./topology.ts";

/** How a key-value bucket says that a key is deleted. */
const OPERATION = "KV-Operation";
const DELETED = "DEL";

/**
 * The attempt records in a key-value bucket, a message's sequence the key. Written in the bucket's own format and not by the
 * client's `kv`: that reads from any replica, and would overlook a record that the replica has not got yet.
 */
export function createAttempts(
  connection: Connection,
  options: { readonly names: JetStreamNames; readonly replicas: number; readonly log: Log },
): Attempts {
  const { attemptsStream: stream, attemptsPrefix: prefix } = options.names;
  const { manager } = connection;

  /** Makes the bucket anew where it was deleted. */
  async function inBucket<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await ask();
    } catch (error) {
      if (!(await isGone())) throw queueError(error);
      options.log.warn({ stream }, "the bucket of attempt records was deleted: made it anew");
    }
    try {
      await ensureAttempts(connection, options);
      return await ask();
    } catch (error) {
      throw queueError(error);
    }
  }

  /** A publish to a stream that does not exist is only answered with "no responders". */
  async function isGone(): Promise<boolean> {
    try {
      await connection.request(() => manager.streams.info(stream));
      return false;
    } catch (error) {
      return apiCodeOf(error) === API_ERROR.streamNotFound;
    }
  }

  return {
    read: (sequence) =>
      inBucket(async () => {
        try {
          const query = { last_by_subj: `${prefix}.${sequence}` };
          const message = await connection.request(() => manager.streams.getMessage(stream, query));
          return workersIn(message.data);
        } catch (error) {
          if (apiCodeOf(error) === API_ERROR.noMessageFound) return [];
          throw error;
        }
      }),

    async write(sequence, workers) {
      const head = headers();
      if (workers.length === 0) head.set(OPERATION, DELETED);
      const body = workers.length === 0 ? "" : JSON.stringify(workers);
      await inBucket(() => publishTo(connection, `${prefix}.${sequence}`, body, { headers: head }));
    },
  };
}

/** A value that is no list of names, such as that of a deleted key, counts as an empty record. */
function workersIn(data: Uint8Array): string[] {
  try {
    const workers: unknown = JSON.parse(Buffer.from(data).toString("utf8"));
    return Array.isArray(workers) ? workers.filter((worker) => typeof worker === "string") : [];
  } catch {
    return [];
  }
}
