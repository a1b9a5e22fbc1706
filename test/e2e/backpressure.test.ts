import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { onTestFinished, test } from "vitest";
import { provesBackpressure, QUEUE_LIMIT } from "../suites/backpressure.ts";
import { createEmbeddedInstallation } from "../support/embedded-installation.ts";

/** Many processes one after the other, on a machine that may be slow. */
const TIMEOUT_MS = 600_000;

test(
  "embedded: a store that takes nothing is felt at the client, and nothing acknowledged is lost",
  async () => {
    const installation = createEmbeddedInstallation(QUEUE_LIMIT);
    onTestFinished(installation.dispose);
    const service = await installation.start();
    // Another writer of the file keeps the service from writing.
    const other = new DatabaseSync(join(installation.dataDir, "store.sqlite"));
    onTestFinished(() => other.close());
    other.exec("BEGIN IMMEDIATE");
    await provesBackpressure(service, async () => {
      other.exec("ROLLBACK");
      return service;
    });
  },
  TIMEOUT_MS,
);
