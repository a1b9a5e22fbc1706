import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { auth, Client, type ClientOptions, policies, types } from "cassandra-driver";
import {
  CASSANDRA_PORT_OFFSETS,
  type CassandraConfig,
  cassandraArguments,
  cassandraConfigFile,
  cassandraHosts,
  LOCAL_DATA_CENTER,
  LOGBACK_XML,
} from "./cassandra-config.ts";
import { type Certificates, createCertificates } from "./certificates.ts";
import { readyTogether, startAll, stopperOf } from "./cluster.ts";
import { logDirectory, temporaryDirectory } from "./directories.ts";
import { containerLaunch, requireImage } from "./docker.ts";
import { freeBasePort, takenPort } from "./ports.ts";
import { createNode, type ManagedNode, type ServerNode } from "./server-node.ts";
import { firstWay } from "./sources.ts";
import type { Launch } from "./supervised-process.ts";
import { CASSANDRA_VERSION, cassandraJars, java17 } from "./toolchain.ts";

const HEAP_MB = 1024;
const PROBE_TIMEOUT_MS = 5_000;
/** Schema changes and truncations otherwise flush a dozen of Cassandra's own tables each. */
const NOTHING_WAITS_FOR_THE_DISK = [
  "-Dcassandra.test.flush_local_schema_changes=false",
  "-Dcassandra.unsafesystem=true",
];

/** Which Cassandra to start. */
export interface CassandraOptions {
  nodes?: 1 | 2 | 3;
  /**
   * Clients connect here, on 127.0.0.1 to 127.0.0.3; nodes talk to each other at 2042 less. Free ones unless
   * given.
   */
  port?: number;
  /**
   * Keeps the data here over `stop()`; needs the same `port` and `nodes` each time. A temporary directory
   * unless given.
   */
  dataDir?: string;
  /** The most that each node's heap may take: 1024 unless given. */
  heapMb?: number;
  /**
   * Whether the data outlives the process, so that a node may be killed or restarted: yes unless told otherwise. Without
   * it nothing waits for the disk: a keyspace of the service is made in 0.2 s instead of 0.7 s, and emptied in a fifth of
   * the time.
   */
  keepsData?: boolean;
  /**
   * Further options of the JVM. `-XX:TieredStopAtLevel=4` lets it optimize fully: better for a benchmark,
   * worse for a test, which is over before that pays.
   */
  jvmOptions?: string[];
  config?: CassandraConfig;
}

/** A running Cassandra, of one node or a cluster of three. */
export interface CassandraServers {
  /** `host:port` of each node. */
  contactPoints: string[];
  localDataCenter: string;
  nodes: ServerNode[];
  /** A client's options: contact points, data center, and user and TLS if they were configured. */
  clientOptions: ClientOptions;
  /** The authority that signed the servers' certificate, if TLS was configured. */
  caFile: string | undefined;
  /** Where the nodes' logs are. They are kept. */
  logDirectory: string;
  /** Where the nodes' data is. */
  dataDirectory: string;
  /**
   * Resolves once the cluster is whole, as it was after the start: for a test that has broken and mended some
   * of it.
   */
  ready(): Promise<void>;
  /** Ends every node; temporary data goes with them. May be called again. */
  stop(): Promise<void>;
}

/** Makes the command of a node; its directories are `mounts`, or within them. */
type Software = (node: {
  configDirectory: string;
  directory: string;
  heapMb: number;
  jvmOptions: string[];
  mounts: string[];
}) => Launch;

/**
 * Starts a Cassandra of this process's own, from Docker or the toolchain, and resolves once every node serves
 * clients (with three: and has every other one up as a replica). It ends with `stop()`, or with this process.
 */
export async function startCassandra(options: CassandraOptions = {}): Promise<CassandraServers> {
  const { nodes: count = 1, dataDir, heapMb = HEAP_MB, keepsData = true } = options;
  const config = keepsData
    ? (options.config ?? {})
    : { ...options.config, commitlogSync: "periodic" as const };
  const jvmOptions = [...(keepsData ? [] : NOTHING_WAITS_FOR_THE_DISK), ...(options.jvmOptions ?? [])];
  const launchWith = await cassandraSoftware();
  const hosts = cassandraHosts(count);
  const port = await portFor(hosts, options.port);

  const directory = temporaryDirectory("cassandra");
  const dataDirectory = dataDir ?? directory;
  const certificates = config.tls ? await createCertificates(directory) : undefined;
  const contactPoints = hosts.map((host) => `${host}:${port}`);
  const clientOptions = clientOptionsFor(contactPoints, config, certificates);

  const nodes = hosts.map((host, index): ManagedNode => {
    const name = `cassandra-${index + 1}`;
    const nodeDirectory = join(dataDirectory, name);
    const configDirectory = join(directory, `${name}-conf`);
    mkdirSync(nodeDirectory, { recursive: true });
    mkdirSync(configDirectory);
    writeFileSync(join(configDirectory, "logback.xml"), LOGBACK_XML);
    writeFileSync(
      join(configDirectory, "cassandra.yaml"),
      cassandraConfigFile({ index, nodes: count, port, directory: nodeDirectory, config, certificates }),
    );
    return createNode({
      name,
      host,
      port,
      launch: () =>
        launchWith({
          ...{ configDirectory, directory: nodeDirectory, heapMb, jvmOptions },
          mounts: [directory, dataDirectory],
        }),
      probe: () => withClient(clientOptions, `${host}:${port}`, probeNode),
      removeOnOrphan: [directory],
    });
  });

  const stop = stopperOf(nodes, directory, dataDir !== undefined);
  const ready = readyTogether(nodes, async () => {
    for (const contactPoint of contactPoints) {
      await withClient(clientOptions, contactPoint, (client) => probeEveryReplica(client, count));
    }
  });
  await startAll(nodes, ready, stop);
  return {
    contactPoints,
    localDataCenter: LOCAL_DATA_CENTER,
    nodes,
    clientOptions,
    caFile: certificates?.caFile,
    logDirectory: logDirectory(),
    dataDirectory,
    ready,
    stop,
  };
}

function cassandraSoftware(): Promise<Software> {
  return firstWay<Software>("Cassandra", [
    {
      name: "docker",
      open: async () => {
        const image = `cassandra:${CASSANDRA_VERSION}`;
        await requireImage(image);
        // Past the image's own start script, which rewrites cassandra.yaml: the same JVM arguments as from
        // the toolchain.
        return ({ mounts, ...rest }) =>
          containerLaunch({
            image,
            entrypoint: "java",
            args: cassandraArguments({ ...rest, jarDirectory: "/opt/cassandra/lib" }),
            mounts,
          });
      },
    },
    {
      name: "toolchain",
      open: async () => {
        const [command, jarDirectory] = await Promise.all([java17(), cassandraJars()]);
        return (node) => ({ command, args: cassandraArguments({ ...node, jarDirectory }) });
      },
    },
  ]);
}

async function portFor(hosts: string[], wanted: number | undefined): Promise<number> {
  if (wanted === undefined) return await freeBasePort(hosts, CASSANDRA_PORT_OFFSETS);
  const taken = await takenPort(hosts, wanted, CASSANDRA_PORT_OFFSETS);
  if (taken !== undefined) throw new Error(`Cassandra cannot start: ${taken} is in use`);
  return wanted;
}

function clientOptionsFor(
  contactPoints: string[],
  config: CassandraConfig,
  certificates: Certificates | undefined,
): ClientOptions {
  return {
    contactPoints,
    localDataCenter: LOCAL_DATA_CENTER,
    ...(config.auth && { authProvider: new auth.PlainTextAuthProvider("cassandra", "cassandra") }),
    ...(certificates && { sslOptions: { ca: [readFileSync(certificates.caFile)] } }),
  };
}

/** Gives a client that talks to that one node only, and closes it. */
async function withClient(
  options: ClientOptions,
  contactPoint: string,
  use: (client: Client) => Promise<void>,
): Promise<void> {
  const client = new Client({
    ...options,
    contactPoints: [contactPoint],
    policies: {
      loadBalancing: new policies.loadBalancing.AllowListPolicy(
        new policies.loadBalancing.DCAwareRoundRobinPolicy(LOCAL_DATA_CENTER),
        [contactPoint],
      ),
      reconnection: new policies.reconnection.ConstantReconnectionPolicy(PROBE_TIMEOUT_MS),
    },
    socketOptions: { connectTimeout: PROBE_TIMEOUT_MS, readTimeout: PROBE_TIMEOUT_MS },
  });
  try {
    await use(client);
  } finally {
    await client.shutdown();
  }
}

async function probeNode(client: Client): Promise<void> {
  await client.execute("SELECT release_version FROM system.local");
}

/**
 * Resolves if this node knows every other and has it up as a replica: a read of a table of Cassandra's own,
 * of which every node has a replica, that all of them must answer. (Not ALL: Cassandra wants three replicas of it,
 * also of two nodes.)
 */
async function probeEveryReplica(client: Client, nodes: number): Promise<void> {
  const peers = await client.execute("SELECT peer FROM system.peers_v2");
  if (peers.rowLength !== nodes - 1) throw new Error(`knows ${peers.rowLength} other nodes`);
  await client.execute(
    "SELECT * FROM system_distributed.parent_repair_history WHERE parent_id = ?",
    [types.TimeUuid.now()],
    { consistency: nodes === 2 ? types.consistencies.two : types.consistencies.three },
  );
}
