import { expect, inject, onTestFinished, test } from "vitest";
import { createClusterInstallation } from "../support/cluster-installation.ts";
import { readmeSessions, replaySessions } from "../support/readme-session.ts";
import type {} from "../support/servers/global-setup.ts";

test("the README's sessions give the README's output on the cluster engine", async () => {
  const installation = createClusterInstallation({
    natsServers: inject("natsServers"),
    contactPoints: inject("scyllaContactPoints"),
    localDataCenter: inject("scyllaLocalDc"),
  });
  onTestFinished(installation.dispose);
  expect(await installation.migrate("--create-keyspace", "1")).toMatchObject({ code: 0 });
  const { url } = await installation.start("serve");

  const sessions = readmeSessions();
  expect(sessions.some(({ kind }) => kind === "cluster")).toBe(true);
  await replaySessions(sessions, url);
});
