import { join } from "node:path";
import { systemClock } from "../../src/domain/time.ts";
import { openEmbeddedEngine } from "../../src/embedded/open.ts";
import { PipelineDocument } from "../../src/generated/operations.ts";
import { openJetStreamQueue } from "../../src/jetstream/open.ts";
import type { ImpressionQueue } from "../../src/ports/impression-queue.ts";
import type { WorkerReport } from "../../src/ports/worker-registry.ts";
import { engineOptions } from "../../test/kit/embedded.ts";
import { query } from "../../test/kit/graphql-request.ts";
import { runCommandOf, type ServiceProcess, startServiceProcess } from "../../test/kit/service-process.ts";
import {
  type BenchInstallation,
  type InstallationOptions,
  openInstallation,
} from "../support/installation.ts";

const ROOT = join(import.meta.dirname, "../..");
const GIB = 1_024 ** 3;
const quiet = { debug() {}, info() {}, warn: console.warn, error: console.error };

/** Messages left, and what the workers say of themselves (a report every 5 s). */
export interface Progress {
  readonly pending: number;
  readonly stored: number;
  readonly concurrency: number;
}

/** An installation whose workers start when its queue is full. */
export interface Bench {
  /** Runs with the queue while no worker does. */
  whileStopped(run: (queue: ImpressionQueue) => Promise<void>): Promise<void>;
  startWorker(environment: Readonly<Record<string, string>>): Promise<ServiceProcess>;
  progress(): Promise<Progress>;
  dispose(): Promise<void>;
}

export async function openEmbeddedBench(dataDir: string): Promise<Bench> {
  let service: ServiceProcess | null = null;
  return {
    async whileStopped(run) {
      const engine = await openEmbeddedEngine(engineOptions({ dataDir, queueMaxBytes: 4 * GIB }));
      await run(engine.queue);
      await engine.close();
    },
    async startWorker(environment) {
      service = await startServiceProcess({ DATA_DIR: dataDir, ...environment });
      return service;
    },
    async progress() {
      const { pipeline } = await query(service?.url ?? "", PipelineDocument, {});
      return { pending: pipeline.pending, ...reported(pipeline.workers) };
    },
    async dispose() {
      await service?.kill("SIGTERM");
    },
  };
}

/** The same on servers of its own. */
export interface ClusterBench extends Bench {
  readonly installation: BenchInstallation;
  /** Messages left. */
  pending(): Promise<number>;
  startApi(environment: Readonly<Record<string, string>>): Promise<ServiceProcess>;
}

export async function openClusterBench(options: InstallationOptions = {}): Promise<ClusterBench> {
  const installation = await openInstallation(options);
  const bench = await openBenchOn(installation, installation.environment.NATS_NAMESPACE ?? "");
  return {
    ...bench,
    async dispose() {
      await bench.dispose();
      await installation.dispose();
    },
  };
}

/**
 * One more on the same servers, with a queue and tables of its own: another build's may be others.
 *
 * @param root the checkout whose build makes the tables, and whose processes start; this one unless given.
 */
export async function openBenchBeside(
  { installation }: ClusterBench,
  root: string = ROOT,
  name = "beside",
): Promise<ClusterBench> {
  const namespace = `${installation.environment.NATS_NAMESPACE}_${name}`;
  const keyspace = `${installation.keyspace}_${name}`;
  const names = { SCYLLA_KEYSPACE: keyspace, NATS_NAMESPACE: namespace };
  const environment = { ...installation.environment, ...names };
  const { code, stderr } = await runCommandOf(root, environment, "migrate", "--create-keyspace", "1");
  if (code !== 0) throw new Error(stderr);
  const beside: BenchInstallation = {
    ...installation,
    keyspace,
    environment,
    start: (role, more, of) => installation.start(role, { ...names, ...more }, of),
  };
  return openBenchOn(beside, namespace, root);
}

async function openBenchOn(
  installation: BenchInstallation,
  namespace: string,
  root?: string,
): Promise<ClusterBench> {
  const { queue, workerRegistry } = await openJetStreamQueue({
    servers: installation.nats.servers,
    namespace,
    queueMaxBytes: 4 * GIB,
    queueReplicas: 1,
    deadLetterDays: 30,
    deadLetterMaxBytes: GIB,
    messagesPerPull: 500,
    clock: systemClock,
    logger: quiet,
  });
  const start = (role: "api" | "worker", environment: Readonly<Record<string, string>>) =>
    installation.start(
      role,
      {
        NATS_NAMESPACE: namespace,
        QUEUE_MAX_BYTES: "4GiB",
        DEAD_LETTER_MAX_BYTES: "1GiB",
        ...environment,
      },
      root,
    );
  return {
    installation,
    pending: async () => (await queue.stats()).pending,
    whileStopped: (run) => run(queue),
    startWorker: (environment) => start("worker", environment),
    startApi: (environment) => start("api", environment),
    async progress() {
      const { pending } = await queue.stats();
      return { pending, ...reported(workerRegistry.current()) };
    },
    dispose: () => queue.close(),
  };
}

function reported(
  workers: readonly Pick<WorkerReport, "impressionsStored" | "concurrency">[],
): Pick<Progress, "stored" | "concurrency"> {
  return {
    stored: workers.reduce((sum, { impressionsStored }) => sum + impressionsStored, 0),
    // The loops of a process share it.
    concurrency: Math.max(0, ...workers.map(({ concurrency }) => concurrency)),
  };
}
