import { join } from "node:path";
import { moduleArguments } from "./cassandra-config.ts";
import { run } from "./command.ts";
import { cassandraJars, java17 } from "./toolchain.ts";

const TIMEOUT_MS = 10 * 60_000;

/** The JVM option that lets nodetool in, on this machine only. */
export function jmxOption(port: number): string {
  return `-Dcassandra.jmx.local.port=${port}`;
}

/** Runs one of Cassandra's operator commands on a keyspace. */
export async function nodetool(port: number, command: "flush" | "compact", keyspace: string): Promise<void> {
  const [java, jars] = await Promise.all([java17(), cassandraJars()]);
  const main = "org.apache.cassandra.tools.NodeTool";
  // Tools use a bit more of sun.nio.ch than the server does.
  const modules = [...moduleArguments(), "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED"];
  await run(java, [...modules, "-cp", join(jars, "*"), main, "-p", String(port), command, keyspace], {
    timeoutMs: TIMEOUT_MS,
  });
}
