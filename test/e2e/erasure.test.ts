import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { onTestFinished, test } from "vitest";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { provesResumableErasure } from "../suites/erasures.ts";

/** Many processes one after the other, on a machine that may be slow. */
const TIMEOUT_MS = 600_000;

test(
  "embedded: an erasure that is killed at every stage ends with everything gone",
  async () => {
    const directory = createTemporaryDirectory();
    onTestFinished(directory.remove);
    await provesResumableErasure({ DATA_DIR: directory.path }, async (userId) => {
      const database = new DatabaseSync(join(directory.path, "store.sqlite"), { readOnly: true });
      const row = database.prepare("SELECT count(*) AS rows FROM views WHERE user_id = ?").get(userId);
      database.close();
      return { views: Number(row?.rows) };
    });
  },
  TIMEOUT_MS,
);
