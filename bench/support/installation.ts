import { type ClusterInstallation, createClusterInstallation } from "../../test/kit/cluster-installation.ts";
import {
  type CassandraOptions,
  type CassandraServers,
  startCassandra,
} from "../../test/servers/cassandra.ts";
import { type NatsServers, startNats } from "../../test/servers/nats.ts";
import { CASSANDRA_VERSION, NATS_VERSION } from "../../test/servers/toolchain.ts";

/** An installation on servers of the bench's own, each a node unless told otherwise. */
export interface BenchInstallation extends ClusterInstallation {
  readonly nats: NatsServers;
  readonly cassandra: CassandraServers;
  /** For the report. */
  readonly servers: Readonly<Record<string, string>>;
}

export type InstallationOptions = Pick<CassandraOptions, "nodes" | "jvmOptions">;

/**
 * Starts the servers and makes the tables. Acknowledged messages are synced, as the deploy files have it; the commit log of
 * Cassandra is synced as it comes (each 10 s: other replicas make up for what one loses).
 */
export async function openInstallation(options: InstallationOptions = {}): Promise<BenchInstallation> {
  const { nodes = 1, jvmOptions = [] } = options;
  const [nats, cassandra] = await Promise.all([
    startNats({ config: { syncAlways: true } }),
    // A benchmark runs long enough to be worth the compiler's while.
    startCassandra({
      nodes,
      jvmOptions: ["-XX:TieredStopAtLevel=4", ...jvmOptions],
      config: { commitlogSync: "periodic" },
    }),
  ]);
  const installation = createClusterInstallation({
    natsServers: nats.servers,
    contactPoints: cassandra.contactPoints,
    localDataCenter: cassandra.localDataCenter,
    isShared: false,
  });
  const dispose = async () => {
    await installation.dispose();
    await Promise.all([nats.stop(), cassandra.stop()]);
  };
  const { code, stderr } = await installation.migrate("--create-keyspace", String(nodes));
  if (code !== 0) {
    await dispose();
    throw new Error(stderr);
  }
  return {
    ...installation,
    nats,
    cassandra,
    servers: {
      nats: `${NATS_VERSION}, one node, sync_interval always`,
      cassandra: `${CASSANDRA_VERSION}, ${nodes === 1 ? "one node" : `${nodes} nodes`}, commit log synced periodically`,
    },
    dispose,
  };
}
