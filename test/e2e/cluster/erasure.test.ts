import { onTestFinished, test } from "vitest";
import { provesResumableErasure } from "../../suites/erasures.ts";
import { openSharedInstallation } from "../../support/shared-installation.ts";

const TABLES = ["posts_by_user", "views_by_user_post", "viewers_by_post"];

/** Many processes one after the other, on a machine that may be slow. */
const TIMEOUT_MS = 600_000;

test(
  "cluster: an erasure that is killed at every stage ends with no row in any table",
  async () => {
    const installation = await openSharedInstallation();
    onTestFinished(installation.dispose);
    const client = installation.client();
    await provesResumableErasure(installation.environment, async (userId) => {
      const counts = await Promise.all(
        TABLES.map(async (table) => {
          const { rows } = await client.execute(`SELECT user_id FROM ${installation.keyspace}.${table}`);
          return [table, rows.filter((row) => row.get("user_id") === userId).length] as const;
        }),
      );
      return Object.fromEntries(counts);
    });
  },
  TIMEOUT_MS,
);
