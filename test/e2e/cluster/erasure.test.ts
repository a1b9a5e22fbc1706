import { onTestFinished, test } from "vitest";
import { provesResumableErasure } from "../../suites/erasures.ts";
import { openSharedInstallation } from "../../support/shared-installation.ts";
import { viewsInPack } from "../../support/stored-packs.ts";

/** Many processes one after the other, on a machine that may be slow. */
const TIMEOUT_MS = 600_000;

test(
  "cluster: an erasure that is killed at every stage ends with no row in any table",
  async () => {
    const installation = await openSharedInstallation();
    onTestFinished(installation.dispose);
    const client = installation.client();
    await provesResumableErasure(installation.environment, async (userId) => {
      const rowsIn = async (columns: string, table: string) => {
        const { rows } = await client.execute(
          `SELECT user_id, ${columns} FROM ${installation.keyspace}.${table}`,
        );
        return rows.filter((row) => row.get("user_id") === userId);
      };
      const packs = await rowsIn("newest_at, pack_id, pack", "user_packs");
      return {
        "views in user_packs": packs.flatMap((row) => viewsInPack(row)).length,
        viewers_by_post: (await rowsIn("post_id", "viewers_by_post")).length,
      };
    });
  },
  TIMEOUT_MS,
);
