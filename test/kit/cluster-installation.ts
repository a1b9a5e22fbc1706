import { randomBytes } from "node:crypto";
import { Client } from "cassandra-driver";
import { runCommand, type ServiceProcess, startServiceProcess } from "./service-process.ts";

/** Servers to run the service on. */
export interface ClusterAddresses {
  readonly natsServers: readonly string[];
  readonly contactPoints: readonly string[];
  readonly localDataCenter: string;
  /** Whether the database goes on for others; else it ends with the caller, and nothing has to be dropped. */
  readonly isShared: boolean;
}

/** One installation of the cluster engine with streams and a keyspace of its own, and the processes that run on it. */
export interface ClusterInstallation {
  readonly environment: Readonly<Record<string, string>>;
  readonly keyspace: string;
  /** @param root the checkout whose build it is; this one unless given. */
  start(
    role: "serve" | "api" | "worker",
    more?: Readonly<Record<string, string>>,
    root?: string,
  ): Promise<ServiceProcess>;
  migrate(...parameters: readonly string[]): ReturnType<typeof runCommand>;
  /** A connection of the test's own, to look at the tables. */
  client(): Client;
  /** Kills what still runs and, where others use the database, drops the keyspace. */
  dispose(): Promise<void>;
}

export function createClusterInstallation(
  { natsServers, contactPoints, localDataCenter, isShared }: ClusterAddresses,
  replicas = 1,
): ClusterInstallation {
  const name = `t${randomBytes(6).toString("hex")}`;
  const environment = {
    ENGINE: "cluster",
    NATS_SERVERS: natsServers.join(","),
    NATS_NAMESPACE: name,
    SCYLLA_CONTACT_POINTS: contactPoints.join(","),
    SCYLLA_LOCAL_DC: localDataCenter,
    SCYLLA_KEYSPACE: name,
    QUEUE_REPLICAS: String(replicas),
    QUEUE_MAX_BYTES: "256MiB",
    DEAD_LETTER_MAX_BYTES: "64MiB",
  };
  const processes: ServiceProcess[] = [];
  const clients: Client[] = [];
  const client = () => {
    const opened = new Client({
      contactPoints: [...contactPoints],
      localDataCenter,
      // Dropping a keyspace on a busy machine takes its time.
      socketOptions: { readTimeout: 60_000 },
    });
    clients.push(opened);
    return opened;
  };
  return {
    environment,
    keyspace: name,
    client,
    async start(role, more = {}, root) {
      const started = await startServiceProcess({ ...environment, ...more }, role, root);
      processes.push(started);
      return started;
    },
    migrate: (...parameters) => runCommand(environment, "migrate", ...parameters),
    async dispose() {
      await Promise.all(processes.map((started) => started.kill("SIGKILL")));
      // On a cluster of which a node had just come back Cassandra 5.0.9 failed that once, with "Unknown CF".
      if (isShared) await client().execute(`DROP KEYSPACE IF EXISTS ${name}`);
      await Promise.all(clients.map((opened) => opened.shutdown()));
    },
  };
}
