import { parentPort, workerData } from "node:worker_threads";
import { messageOf, openForWriting, touch } from "./database.ts";
import { createQueueWrites } from "./queue-writes.ts";
import { createStoreWrites } from "./store-writes.ts";
import { createBatchRunner } from "./transaction.ts";
import { type FromThread, PROBE, type ThreadData, type ToThread } from "./writer-protocol.ts";

/**
 * The thread that owns a database's one writing connection. It does nothing by itself: it runs the batches that
 * `writer.ts` sends, in order, and answers each.
 *
 * Node runs this file as it stands, in development from src/*.ts: whatever it imports must be TypeScript whose types
 * can be erased.
 */
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
  port.on("message", (message: ToThread) => {
    if (message.kind === "batch") {
      answer({ kind: "outcomes", outcomes: runBatch(message.jobs) });
    } else {
      database.close();
      port.close();
    }
  });
  answer({ kind: "ready" });
}

run(workerData as ThreadData);
