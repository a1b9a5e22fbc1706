import { expect, inject, onTestFinished } from "vitest";
import { createClusterInstallation } from "../support/cluster-installation.ts";
import type {} from "../support/servers/global-setup.ts";
import { testWalksUnderArrival } from "../support/walk-arrivals.ts";

testWalksUnderArrival("cluster", 20, async () => {
  const installation = createClusterInstallation({
    natsServers: inject("natsServers"),
    contactPoints: inject("scyllaContactPoints"),
    localDataCenter: inject("scyllaLocalDc"),
  });
  onTestFinished(installation.dispose);
  expect(await installation.migrate("--create-keyspace", "1")).toMatchObject({ code: 0 });
  return (await installation.start("serve")).url;
});
