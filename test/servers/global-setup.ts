import type { TestProject } from "vitest/node";
import { openSharedServers } from "./shared-servers.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** `host:port` of each node of the test run's NATS. */
    natsServers: string[];
    /** `host:port` of each node of the test run's Cassandra or ScyllaDB. */
    scyllaContactPoints: string[];
    scyllaLocalDc: string;
  }
}

/**
 * Vitest's global setup: a NATS and a Cassandra for the whole run, whose addresses tests `inject`. They are
 * shared, so a test makes streams and keyspaces with names of its own. Without servers the run fails, and
 * says what to install.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const servers = await openSharedServers();
  project.provide("natsServers", servers.natsServers);
  project.provide("scyllaContactPoints", servers.scyllaContactPoints);
  project.provide("scyllaLocalDc", servers.scyllaLocalDc);
  return async () => {
    await servers.stop();
    const failed = project.vitest.state.getCountOfFailedTests() > 0;
    if (failed && servers.logDirectory !== undefined)
      console.error(`The servers' logs: ${servers.logDirectory}`);
  };
}
