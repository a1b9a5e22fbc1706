import { parentPort, workerData } from "node:worker_threads";
import { messageOf, openForWriting, scrub, touch } from "../database.ts";
import { createQueueWrites } from "../queue-writes.ts";
import { createStoreWrites } from "../store-writes.ts";
import { attempt, createBatchRunner, type Job } from "../transaction.ts";
import { type FromThread, PROBE, SCRUB, type ThreadData, type ToThread } from "./writer-protocol.ts";

/**
 * The thread that owns a database's one writing connection. It does nothing by itself: it runs the batches that
 * `writer.ts` sends, in order, and answers each.
 *
 * Node runs this file as it stands, in development from src/*.ts: whatever it imports must be TypeScript whose types
 * can be erased.
 */
/**
 * Content up to which a file is written anew where something has to be gone from it: 118 MB took 1.5 s (two busy cores). The
 * queue's writes are what callers of the API wait for.
 */
const REWRITTEN_BYTES_MAX = { queue: 64 * 1_024 * 1_024, store: 256 * 1_024 * 1_024 };

const OPERATIONS = { queue: createQueueWrites, store: createStoreWrites };

function run(data: ThreadData): void {
  const port = parentPort;
  if (port === null) throw new Error("writer-thread runs as a worker thread only");
  const answer = (message: FromThread) => port.postMessage(message);

  let database: ReturnType<typeof openForWriting>;
  try {
    database = openForWriting(data.file);
  } catch (error) {
    answer({ kind: "cannot-open", reason: messageOf(error) });
    return;
  }
  const runBatch = createBatchRunner(database, {
    ...OPERATIONS[data.database](database),
    [PROBE]: () => touch(database),
  });
  const isScrub = ([first]: readonly Job[]) => first?.operation === SCRUB;
  port.on("message", (message: ToThread) => {
    if (message.kind === "batch") {
      const { jobs } = message;
      const outcomes = isScrub(jobs)
        ? [attempt(() => scrub(database, REWRITTEN_BYTES_MAX[data.database]))]
        : runBatch(jobs);
      answer({ kind: "outcomes", outcomes });
    } else {
      database.close();
      port.close();
    }
  });
  answer({ kind: "ready" });
}

run(workerData as ThreadData);
