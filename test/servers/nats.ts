import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ConnectionOptions, connect } from "nats";
import { type Certificates, createCertificates } from "./certificates.ts";
import { readyTogether, startAll, stopperOf } from "./cluster.ts";
import { logDirectory, temporaryDirectory } from "./directories.ts";
import { containerLaunch, requireImage } from "./docker.ts";
import { monitorUrl, type NatsConfig, natsConfigFile, natsPortOffsets } from "./nats-config.ts";
import { freeBasePort, takenPort } from "./ports.ts";
import { createNode, type ManagedNode, type ServerNode } from "./server-node.ts";
import { firstWay } from "./sources.ts";
import type { Launch } from "./supervised-process.ts";
import { NATS_VERSION, natsServerProgram } from "./toolchain.ts";

const HOST = "127.0.0.1";
const PROBE_TIMEOUT_MS = 2_000;

/** Which NATS to start. */
export interface NatsOptions {
  nodes?: 1 | 3;
  /**
   * Clients connect here (and, with three nodes, at the next two ports); `nats-config.ts` has the others.
   * Free ones unless given.
   */
  port?: number;
  /** Keeps JetStream's data here over `stop()`. A temporary directory unless given. */
  storeDir?: string;
  config?: NatsConfig;
}

/** A running NATS with JetStream, of one node or a cluster of three. */
export interface NatsServers {
  /** `host:port` of each node, for the `servers` of a connection. */
  servers: string[];
  nodes: ServerNode[];
  /** A client's options in addition to `servers`: user, password and TLS, if they were configured. */
  connection: Pick<ConnectionOptions, "user" | "pass" | "tls">;
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

/** Makes the command of a node; what its configuration file names is in `mounts`. */
type Software = (configFile: string, mounts: string[]) => Launch;

/**
 * Starts a NATS of this process's own, from Docker or the toolchain, and resolves once JetStream serves on
 * every node (with three: once a stream of three replicas can be made). It ends with `stop()`, or with this
 * process.
 */
export async function startNats({
  nodes: count = 1,
  port,
  storeDir,
  config = {},
}: NatsOptions = {}): Promise<NatsServers> {
  const launchWith = await natsSoftware();
  const basePort = await basePortFor(count, port);

  const directory = temporaryDirectory("nats");
  const dataDirectory = storeDir ?? directory;
  const certificates = config.tls ? await createCertificates(directory) : undefined;
  const servers = Array.from({ length: count }, (_, index) => `${HOST}:${basePort + index}`);
  const connection = connectionOptions(config, certificates);

  const nodes = servers.map((server, index): ManagedNode => {
    const nodeDirectory = join(dataDirectory, `nats-${index + 1}`);
    mkdirSync(nodeDirectory, { recursive: true });
    const configFile = join(directory, `nats-${index + 1}.conf`);
    writeFileSync(
      configFile,
      natsConfigFile({ index, nodes: count, basePort, directory: nodeDirectory, config, certificates }),
    );
    return createNode({
      name: `nats-${index + 1}`,
      host: HOST,
      port: basePort + index,
      launch: () => launchWith(configFile, [directory, dataDirectory]),
      probe: () => probeNats(server, basePort + index, connection),
      removeOnOrphan: [directory],
    });
  });

  const stop = stopperOf(nodes, directory, storeDir !== undefined);
  const ready = readyTogether(nodes, () => probePeers(nodes));
  await startAll(nodes, ready, stop);
  return {
    servers,
    nodes,
    connection,
    caFile: certificates?.caFile,
    logDirectory: logDirectory(),
    dataDirectory,
    ready,
    stop,
  };
}

function natsSoftware(): Promise<Software> {
  return firstWay<Software>("NATS", [
    {
      name: "docker",
      open: async () => {
        const image = `nats:${NATS_VERSION}`;
        await requireImage(image);
        return (configFile, mounts) =>
          containerLaunch({ image, entrypoint: "/nats-server", args: ["--config", configFile], mounts });
      },
    },
    {
      name: "toolchain",
      open: async () => {
        const command = await natsServerProgram();
        return (configFile) => ({ command, args: ["--config", configFile] });
      },
    },
  ]);
}

async function basePortFor(nodes: number, wanted: number | undefined): Promise<number> {
  const offsets = natsPortOffsets(nodes);
  if (wanted === undefined) return await freeBasePort([HOST], offsets);
  const taken = await takenPort([HOST], wanted, offsets);
  if (taken !== undefined) throw new Error(`NATS cannot start: ${taken} is in use`);
  return wanted;
}

function connectionOptions(
  config: NatsConfig,
  certificates: Certificates | undefined,
): NatsServers["connection"] {
  return {
    ...(config.user !== undefined && { user: config.user, pass: config.password ?? "" }),
    ...(certificates && { tls: { caFile: certificates.caFile } }),
  };
}

/** Resolves if this node's JetStream serves a client; in a cluster that takes a leader, and so a majority. */
async function probeNats(server: string, port: number, connection: NatsServers["connection"]): Promise<void> {
  const client = await connect({
    servers: server,
    ...connection,
    timeout: PROBE_TIMEOUT_MS,
    reconnect: false,
  });
  try {
    const manager = await client.jetstreamManager({ timeout: PROBE_TIMEOUT_MS });
    await manager.getAccountInfo();
  } finally {
    await client.close();
  }
  // The server's own word that it is in step with its peers and has recovered every stream and consumer.
  const health = await fetch(`${monitorUrl(port)}/healthz`, {
    signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
  });
  if (!health.ok) throw new Error(`not healthy: ${await health.text()}`);
}

/**
 * Resolves if the leader has every other node as a current peer: a stream of as many replicas can be made
 * now.
 */
async function probePeers(nodes: readonly ServerNode[]): Promise<void> {
  for (const { port } of nodes) {
    const response = await fetch(`${monitorUrl(port)}/jsz`, {
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    const peers = ((await response.json()) as JetStreamState).meta_cluster?.replicas ?? [];
    if (peers.filter((peer) => peer.current && !peer.offline).length === nodes.length - 1) return;
  }
  throw new Error("no leader has all of its peers");
}

/** The fields of `/jsz` that are read here. Only the leader lists its peers. */
interface JetStreamState {
  meta_cluster?: { replicas?: { current: boolean; offline?: boolean }[] };
}
