import { expect, inject, onTestFinished, test } from "vitest";
import { createClusterInstallation } from "../support/cluster-installation.ts";
import { provesResumableErasure } from "../support/erasures.ts";
import type {} from "../support/servers/global-setup.ts";

const TABLES = ["posts_by_user", "views_by_user_post", "viewers_by_post"];

/** Many processes one after the other, on a machine that may be slow. */
const TIMEOUT_MS = 600_000;

test(
  "cluster: an erasure that is killed at every stage ends with no row in any table",
  async () => {
    const installation = createClusterInstallation({
      natsServers: inject("natsServers"),
      contactPoints: inject("scyllaContactPoints"),
      localDataCenter: inject("scyllaLocalDc"),
    });
    onTestFinished(installation.dispose);
    expect(await installation.migrate("--create-keyspace", "1")).toMatchObject({ code: 0 });
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
