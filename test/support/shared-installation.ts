import { expect, inject } from "vitest";
import { type ClusterInstallation, createClusterInstallation } from "../kit/cluster-installation.ts";
import type {} from "../servers/global-setup.ts";

/** An installation on the run's shared servers; its keyspace is not made yet. */
export function createSharedInstallation(): ClusterInstallation {
  return createClusterInstallation({
    isShared: true,
    natsServers: inject("natsServers"),
    contactPoints: inject("scyllaContactPoints"),
    localDataCenter: inject("scyllaLocalDc"),
  });
}

/** The same with its keyspace made and migrated. */
export async function openSharedInstallation(): Promise<ClusterInstallation> {
  const installation = createSharedInstallation();
  expect(await installation.migrate("--create-keyspace", "1")).toMatchObject({ code: 0 });
  return installation;
}
