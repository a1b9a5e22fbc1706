// Starts NATS and Cassandra for a person, and stops them on Ctrl-C:
//
//   node test/servers/services.ts [--nodes 1|3] [--data-dir DIR]
//                                         [--nats-port 4222] [--cassandra-port 9042]
//
// Without --data-dir the data is gone after the stop. The lines printed are for a shell to paste, `#` lines
// included.

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type CassandraServers, startCassandra } from "./cassandra.ts";
import { type NatsServers, startNats } from "./nats.ts";
import { messageOf } from "./wait.ts";

interface Arguments {
  nodes: 1 | 3;
  dataDirectory: string | undefined;
  natsPort: number;
  cassandraPort: number;
}

function readArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      nodes: { type: "string", default: "1" },
      "data-dir": { type: "string" },
      "nats-port": { type: "string", default: "4222" },
      "cassandra-port": { type: "string", default: "9042" },
    },
  });
  if (values.nodes !== "1" && values.nodes !== "3") throw new Error("--nodes is 1 or 3");
  const nodes = values.nodes === "1" ? 1 : 3;
  // A directory for each size: a node of three does not start alone on what it knows of the others.
  const dataDirectory = values["data-dir"] && resolve(values["data-dir"], `${nodes}-node`);
  return {
    nodes,
    dataDirectory,
    natsPort: portOf("--nats-port", values["nats-port"]),
    cassandraPort: portOf("--cassandra-port", values["cassandra-port"]),
  };
}

function portOf(option: string, value: string): number {
  const port = Number(value);
  if (!Number.isInteger(port) || port < 2100 || port > 61_000)
    throw new Error(`${option} is a port from 2100 to 61000`);
  return port;
}

async function start({
  nodes,
  dataDirectory,
  natsPort,
  cassandraPort,
}: Arguments): Promise<[NatsServers, CassandraServers]> {
  const storeDir = dataDirectory && join(dataDirectory, "nats");
  const dataDir = dataDirectory && join(dataDirectory, "cassandra");
  for (const directory of [storeDir, dataDir]) if (directory) mkdirSync(directory, { recursive: true });
  return await Promise.all([
    startNats({ nodes, port: natsPort, config: { syncAlways: true }, ...(storeDir && { storeDir }) }),
    startCassandra({
      nodes,
      port: cassandraPort,
      // These may run for hours, and under a benchmark: worth the compiler's while.
      jvmOptions: ["-XX:TieredStopAtLevel=4"],
      ...(dataDir && { dataDir }),
    }),
  ]);
}

function describe(nats: NatsServers, cassandra: CassandraServers): string {
  const contactPoints = cassandra.contactPoints.join(",");
  return [
    ...[...nats.nodes, ...cassandra.nodes].map(
      ({ pid, host, port, logFile }) => `# pid ${pid} at ${host}:${port}, log ${logFile}`,
    ),
    `# data ${nats.dataDirectory} and ${cassandra.dataDirectory}`,
    "export ENGINE=cluster",
    `export NATS_SERVERS=${nats.servers.join(",")}`,
    `export SCYLLA_CONTACT_POINTS=${contactPoints}`,
    `export SCYLLA_LOCAL_DC=${cassandra.localDataCenter}`,
    `export TEST_NATS_SERVERS=${nats.servers.join(",")}`,
    `export TEST_SCYLLA_CONTACT_POINTS=${contactPoints}`,
    `export TEST_SCYLLA_LOCAL_DC=${cassandra.localDataCenter}`,
  ].join("\n");
}

/**
 * Resolves on the first request to end. A second one is Node's own business: it ends this process, and so the
 * servers.
 */
function requestToStop(): Promise<void> {
  return new Promise((resolve) => {
    const stayAlive = setInterval(() => {}, 60_000);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => {
        clearInterval(stayAlive);
        resolve();
      });
    }
  });
}

try {
  const [nats, cassandra] = await start(readArguments());
  console.log(describe(nats, cassandra));
  console.log("# running; Ctrl-C stops them");
  await requestToStop();
  console.log("# stopping");
  await Promise.all([nats.stop(), cassandra.stop()]);
} catch (error) {
  // Ends what was started, too: no server outlives this process.
  console.error(messageOf(error));
  process.exit(1);
}
