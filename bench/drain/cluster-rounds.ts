import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ServiceProcess } from "../../test/kit/service-process.ts";
import { IMPRESSIONS_PER_MUTATION } from "../support/mutations.ts";
import { median } from "../support/statistics.ts";
import type { Traffic } from "../support/traffic.ts";
import { fillQueue, IMPRESSIONS_PER_MESSAGE, type Mutations } from "./backlog.ts";
import type { WriteOrder } from "./baselines/raw-driver.ts";
import { type ClusterBench, openBenchBeside } from "./installations.ts";

/** How many statements at once the raw driver is tried with. */
const CONCURRENCIES = [64, 128, 256, 512] as const;
const POLL_MS = 20;

/** Impressions a second of each way, for each round. */
export interface DrainRounds {
  readonly traffic: Traffic;
  readonly rawConcurrency: number;
  readonly rounds: readonly Round[];
}

interface Round {
  readonly ours: number;
  readonly raw: number;
  /** Of the worker of another build, where one takes part. */
  readonly before: number | null;
}

/** A worker, and the queue that only it works off. */
interface Drainer {
  readonly bench: ClusterBench;
  readonly worker: ServiceProcess;
}

export interface Contestants {
  readonly ours: Drainer;
  readonly before: Drainer | null;
  readonly raw: ChildProcess;
  stop(): Promise<void>;
}

/**
 * Starts the workers and the raw driver, each a process that stays for all rounds.
 *
 * @param beforeDirectory another checkout, whose worker takes part, too; null for none.
 */
export async function startContestants(
  bench: ClusterBench,
  environment: Readonly<Record<string, string>>,
  beforeDirectory: string | null,
): Promise<Contestants> {
  const ours = { bench, worker: await bench.startWorker(environment) };
  let before: Drainer | null = null;
  if (beforeDirectory !== null) {
    const beside = await openBenchBeside(bench, beforeDirectory);
    before = { bench: beside, worker: await beside.startWorker(environment) };
  }
  const raw = fork(join(import.meta.dirname, "baselines/raw-driver.ts"), {
    env: { ...process.env, ...bench.installation.environment },
    stdio: "inherit",
  });
  await once(raw, "message");
  return {
    ours,
    before,
    raw,
    async stop() {
      raw.kill();
      await Promise.all([ours, before].map((drainer) => drainer?.worker.kill("SIGTERM")));
      await before?.bench.dispose();
    },
  };
}

/** Lets each write equally much of the same traffic, in turns. */
export async function measureDrain(
  { ours, before, raw }: Contestants,
  options: { readonly traffic: Traffic; readonly mutations: number; readonly rounds: number },
): Promise<DrainRounds> {
  const { traffic, mutations: count, rounds } = options;
  let first = 0;
  const next = (mutations: number): Mutations => {
    first += mutations;
    return { traffic, first: first - mutations, count: mutations, endMs: Date.now() };
  };

  const tried: { readonly concurrency: number; readonly rate: number }[] = [];
  for (const concurrency of CONCURRENCIES) {
    const share = next(Math.ceil(count / 2));
    tried.push({ concurrency, rate: await writeRaw(raw, { ...share, concurrency }) });
  }
  const best = tried.reduce((one, other) => (other.rate > one.rate ? other : one));

  const measured: Round[] = [];
  // The first round warms the workers up, and is not counted.
  for (let round = 0; round <= rounds; round++) {
    const figures = { raw: 0, before: before === null ? null : 0, ours: 0 };
    const turns = [
      async () => {
        figures.raw = await writeRaw(raw, { ...next(count), concurrency: best.concurrency });
      },
      async () => {
        if (before !== null) figures.before = await drain(before, next(count));
      },
      async () => {
        figures.ours = await drain(ours, next(count));
      },
    ];
    // Each round begins with another one, since the database still works for the previous one when the next begins.
    for (let turn = 0; turn < turns.length; turn++) await turns[(turn + round) % turns.length]?.();
    if (round > 0) measured.push(figures);
  }
  return { traffic, rawConcurrency: best.concurrency, rounds: measured };
}

export function ratioOf({ rounds }: DrainRounds): number {
  return median(rounds.map(({ ours, raw }) => ours / raw));
}

const drain = ({ bench, worker }: Drainer, mutations: Mutations) => drainQueue(bench, [worker], mutations);

async function writeRaw(raw: ChildProcess, order: WriteOrder): Promise<number> {
  raw.send(order);
  const [tookMs] = (await once(raw, "message")) as [number];
  return (order.count * IMPRESSIONS_PER_MUTATION * 1_000) / tookMs;
}

/**
 * From a full queue to an empty one, in impressions a second. The workers' processes are stopped (SIGSTOP) while the queue
 * fills, and not ended: what is measured are processes that have run for a while, as in production.
 */
export async function drainQueue(
  bench: ClusterBench,
  workers: readonly ServiceProcess[],
  mutations: Mutations,
): Promise<number> {
  for (const { pid } of workers) process.kill(pid, "SIGSTOP");
  try {
    await bench.whileStopped((queue) => fillQueue(queue, mutations, IMPRESSIONS_PER_MESSAGE));
  } finally {
    for (const { pid } of workers) process.kill(pid, "SIGCONT");
  }
  const startedMs = performance.now();
  while ((await bench.pending()) > 0) await sleep(POLL_MS);
  return (mutations.count * IMPRESSIONS_PER_MUTATION * 1_000) / (performance.now() - startedMs);
}
