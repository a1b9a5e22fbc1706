import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { onTestFinished, test } from "vitest";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { startServiceProcess } from "../kit/service-process.ts";
import { provesBackpressure, QUEUE_LIMIT } from "../suites/backpressure.ts";

/** Many processes one after the other, on a machine that may be slow. */
const TIMEOUT_MS = 600_000;

test(
  "embedded: a store that takes nothing is felt at the client, and nothing acknowledged is lost",
  async () => {
    const directory = createTemporaryDirectory();
    onTestFinished(directory.remove);
    const service = await startServiceProcess({ DATA_DIR: directory.path, ...QUEUE_LIMIT });
    onTestFinished(async () => void (await service.kill("SIGKILL")));
    // Another writer of the file keeps the service from writing.
    const other = new DatabaseSync(join(directory.path, "store.sqlite"));
    onTestFinished(() => other.close());
    other.exec("BEGIN IMMEDIATE");
    await provesBackpressure(service, async () => {
      other.exec("ROLLBACK");
      return service;
    });
  },
  TIMEOUT_MS,
);
