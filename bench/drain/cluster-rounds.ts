import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ServiceProcess } from "../../test/support/service-process.ts";
import { IMPRESSIONS_PER_MUTATION } from "../support/mutations.ts";
import { median } from "../support/statistics.ts";
import type { Traffic } from "../support/traffic.ts";
import { fillQueue, IMPRESSIONS_PER_MESSAGE, type Mutations } from "./backlog.ts";
import type { WriteOrder } from "./baselines/raw-driver.ts";
import type { ClusterBench } from "./installations.ts";

/** How many statements at once the raw driver is tried with. */
const CONCURRENCIES = [64, 128, 256, 512] as const;
const POLL_MS = 20;

/** Impressions a second of both ways, a pair for each round. */
export interface DrainRounds {
  readonly traffic: Traffic;
  readonly rawConcurrency: number;
  readonly rounds: readonly { readonly ours: number; readonly raw: number }[];
}

export interface Contestants {
  readonly bench: ClusterBench;
  readonly worker: ServiceProcess;
  readonly raw: ChildProcess;
}

/** Starts the worker and the raw driver, each a process that stays for all rounds. */
export async function startContestants(
  bench: ClusterBench,
  environment: Readonly<Record<string, string>>,
): Promise<Contestants> {
  const worker = await bench.startWorker(environment);
  const raw = fork(join(import.meta.dirname, "baselines/raw-driver.ts"), {
    env: { ...process.env, ...bench.installation.environment },
    stdio: "inherit",
  });
  await once(raw, "message");
  return { bench, worker, raw };
}

/** Lets both write equally much of the same traffic, in turns. */
export async function measureDrain(
  { bench, worker, raw }: Contestants,
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

  const measured: { ours: number; raw: number }[] = [];
  // The first round warms the worker up, and is not counted.
  for (let round = 0; round <= rounds; round++) {
    const theirs = await writeRaw(raw, { ...next(count), concurrency: best.concurrency });
    const ours = await drainQueue(bench, [worker], next(count));
    if (round > 0) measured.push({ ours, raw: theirs });
  }
  return { traffic, rawConcurrency: best.concurrency, rounds: measured };
}

export function ratioOf({ rounds }: DrainRounds): number {
  return median(rounds.map(({ ours, raw }) => ours / raw));
}

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
