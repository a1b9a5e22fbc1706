import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Submission } from "../../src/domain/impression.ts";
import type { ServiceProcess } from "../../test/kit/service-process.ts";
import { nodetool } from "../../test/servers/nodetool.ts";
import { type ClusterBench, openBenchBeside } from "../drain/installations.ts";
import { NODE_OPTIONS_OF_THE_IMAGE } from "../support/image.ts";
import { cpuMsOf } from "../support/process-usage.ts";
import { fillWith } from "./traffic.ts";

/** A build of the service with a queue and a keyspace of its own, on servers that all sides share. */
export interface Side {
  readonly bench: ClusterBench;
  readonly keyspace: string;
  start(role: "api" | "worker"): Promise<ServiceProcess>;
  stop(): Promise<void>;
}

/** What all sides run on. */
export interface Ground {
  readonly shared: ClusterBench;
  readonly jmxPort: number;
  readonly cassandraPid: number;
}

const PRODUCTION = { NODE_ENV: "production", NODE_OPTIONS: NODE_OPTIONS_OF_THE_IMAGE };
const POLL_MS = 20;

/** @param root the checkout whose build it is; null for this one. */
export async function openSide({ shared }: Ground, name: string, root: string | null): Promise<Side> {
  const bench = await openBenchBeside(shared, root ?? undefined, name);
  const started: ServiceProcess[] = [];
  return {
    bench,
    keyspace: bench.installation.keyspace,
    async start(role) {
      const service =
        role === "worker" ? await bench.startWorker(PRODUCTION) : await bench.startApi(PRODUCTION);
      started.push(service);
      return service;
    },
    async stop() {
      await Promise.all(started.map((service) => service.kill("SIGTERM")));
      await bench.dispose();
    },
  };
}

/** What a drain took. */
export interface Drained {
  readonly perSecond: number;
  readonly workerCpuUs: number;
  readonly databaseCpuUs: number;
}

/** Queues the submissions while the worker is stopped, and lets it work them off. The times are of an impression. */
export async function drain(
  { cassandraPid }: Ground,
  { bench }: Side,
  worker: ServiceProcess,
  submissions: readonly Submission[],
  prefix: string,
): Promise<Drained> {
  const impressions = submissions.reduce((sum, submission) => sum + submission.impressions.length, 0);
  process.kill(worker.pid, "SIGSTOP");
  try {
    await bench.whileStopped((queue) => fillWith(queue, submissions, prefix));
  } finally {
    process.kill(worker.pid, "SIGCONT");
  }
  const startedMs = performance.now();
  const before = [cpuMsOf(worker.pid), cpuMsOf(cassandraPid)] as const;
  while ((await bench.pending()) > 0) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  const eachUs = (ms: number) => (ms * 1_000) / impressions;
  return {
    perSecond: (impressions * 1_000) / (performance.now() - startedMs),
    workerCpuUs: eachUs(cpuMsOf(worker.pid) - before[0]),
    databaseCpuUs: eachUs(cpuMsOf(cassandraPid) - before[1]),
  };
}

/** Flushes and compacts a side's tables. @returns what that took, and the bytes, of the whole keyspace. */
export async function settle(
  { shared, jmxPort, cassandraPid }: Ground,
  { keyspace, bench }: Side,
): Promise<{ readonly cpuMs: number; readonly liveBytes: number; readonly writtenBytes: number }> {
  const beforeMs = cpuMsOf(cassandraPid);
  await nodetool(jmxPort, "flush", keyspace);
  await nodetool(jmxPort, "compact", keyspace);
  const cpuMs = cpuMsOf(cassandraPid) - beforeMs;
  const { cassandra } = shared.installation;
  const directory = join(cassandra.dataDirectory, "cassandra-1");
  const live = bytesIn(join(directory, "data", keyspace));
  const client = bench.installation.client();
  const { rows } = await client.execute("SELECT keyspace_name, bytes_in FROM system.compaction_history");
  const compacted = rows
    .filter((row) => row.get("keyspace_name") === keyspace)
    .reduce((sum, row) => sum + Number(row.get("bytes_in")), 0);
  // Each file was written once, and is either live or compacted away: the sum is all written bytes.
  return { cpuMs, liveBytes: live, writtenBytes: live + compacted };
}

function bytesIn(directory: string): number {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
