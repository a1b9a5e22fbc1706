// npm run bench:reads [-- --impressions 2000000 --rounds 5 --round-ms 1500 --out FILE --before DIR]
//
// What a recommender waits for, against the same CQL sent with the bare driver. Needs the servers and the data:
// `npm run services` in another terminal, its exports in this one, and `node bench/reads/load.ts` once. Starts
// `impressions api` and the bare route on them for the reads, and `impressions serve` for what is recorded meanwhile. Each
// round asks every scenario by GraphQL, by the bare route and by the driver (and of the build in --before DIR, by GraphQL);
// a figure is the median of its rounds. First idle, then while impressions are recorded at 5,000 a second.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { PipelineDocument } from "../../src/generated/operations.ts";
import { query } from "../../test/kit/graphql-request.ts";
import { startServiceProcess } from "../../test/kit/service-process.ts";
import { startChildServer } from "../support/child-server.ts";
import { VIEWS_PER_USER } from "./dataset.ts";
import type { Measured, Order } from "./generator.ts";
import { type Contestant, SCENARIOS } from "./scenarios.ts";

const WRITES_PER_SECOND = 5_000;
const DRAIN_POLL_MS = 1_000;

const { values } = parseArgs({
  options: {
    impressions: { type: "string", default: "2000000" },
    rounds: { type: "string", default: "5" },
    "round-ms": { type: "string", default: "1500" },
    out: { type: "string" },
    before: { type: "string" },
  },
});
const users = String(Math.ceil(Number(values.impressions) / VIEWS_PER_USER));
const rounds = Number(values.rounds);
const durationMs = Number(values["round-ms"]);

const environment = Object.fromEntries(
  Object.entries({ ...process.env, ENGINE: "cluster", NODE_ENV: "production" }).filter(([name]) =>
    /^(ENGINE|NODE_ENV|NATS_|SCYLLA_|QUEUE_|PATH)/.test(name),
  ),
) as Record<string, string>;
// As in production: the process that answers recommenders is not the one whose workers store a campaign.
const reading = await startServiceProcess(environment, "api");
const before =
  values.before === undefined ? null : await startServiceProcess(environment, "api", values.before);
const CONTESTANTS: readonly Contestant[] = [
  "graphql",
  ...(before === null ? [] : (["before"] as const)),
  "bare",
  "cql",
];
const bare = await startChildServer(join(import.meta.dirname, "bare-route.ts"), environment);
const generator = start("generator.ts", users, reading.url, bare.url, before?.url ?? "");
await once(generator, "message");

const idle = await measureAll();
const recording = await startServiceProcess(environment, "serve");
await backlogIsGone(recording.url);
const writer = start("writer.ts", recording.url, String(WRITES_PER_SECOND));
const rates: number[] = [];
writer.on("message", (rate: number) => rates.push(rate));
await once(writer, "message");
const writing = await measureAll();
writer.kill();
generator.kill();
await Promise.all([reading, recording, before].map((service) => service?.kill("SIGTERM")));
await bare.stop();

const writesPerSecond = median(rates);
const report = {
  date: new Date().toISOString(),
  environment: {
    node: process.version,
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    storedImpressions: Number(values.impressions),
    readConsistency: "LOCAL_QUORUM, one node",
    connections: 1,
    rounds,
    roundMs: durationMs,
  },
  idle,
  writing: { impressionsPerSecond: writesPerSecond, scenarios: writing },
};
console.log(JSON.stringify(report.environment));
print("idle", idle);
print(`while ${writesPerSecond} impressions a second are recorded`, writing);
if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(report, null, 2)}\n`);

interface Figures {
  readonly p50Ms: number;
  readonly p99Ms: number;
}
interface Result {
  readonly scenario: string;
  readonly statements: number;
  readonly graphql: Figures;
  /** Null without --before. */
  readonly before: Figures | null;
  readonly bare: Figures;
  readonly cql: Figures;
  /** GraphQL's times the driver's, of the medians. */
  readonly ratioP50: number;
  readonly ratioP99: number;
  /** The bare route's times the driver's. */
  readonly bareRatioP50: number;
}

async function measureAll(): Promise<Result[]> {
  const measured = SCENARIOS.map(() => ({
    figures: { graphql: [], before: [], bare: [], cql: [] } as Record<Contestant, Figures[]>,
    statements: 0,
  }));
  // The first round warms all sides up, and is not counted.
  for (let round = 0; round <= rounds; round++) {
    for (const [scenario, kept] of measured.entries()) {
      for (const contestant of CONTESTANTS) {
        const { latenciesMs, statements } = await order({ scenario, contestant, durationMs });
        kept.statements = statements;
        if (round > 0) kept.figures[contestant].push(figuresOf(latenciesMs));
      }
    }
  }
  return measured.map(({ figures, statements }, index) => {
    const [graphql, bare, cql] = [medians(figures.graphql), medians(figures.bare), medians(figures.cql)];
    return {
      scenario: SCENARIOS[index]?.name ?? "",
      statements,
      graphql,
      before: before === null ? null : medians(figures.before),
      bare,
      cql,
      ratioP50: rounded(graphql.p50Ms / cql.p50Ms),
      ratioP99: rounded(graphql.p99Ms / cql.p99Ms),
      bareRatioP50: rounded(bare.p50Ms / cql.p50Ms),
    };
  });
}

/** Drains the queue first: a backlog of an earlier run would be stored at full speed, not at the given rate. */
async function backlogIsGone(url: string): Promise<void> {
  while ((await query(url, PipelineDocument, {})).pipeline.pending > 0) await sleep(DRAIN_POLL_MS);
}

async function order(asked: Order): Promise<Measured> {
  generator.send(asked);
  const [measured] = (await once(generator, "message")) as [Measured];
  return measured;
}

function start(file: string, ...parameters: readonly string[]): ChildProcess {
  const child = fork(join(import.meta.dirname, file), parameters, {
    env: { ...process.env, ...environment },
  });
  child.once("exit", (code) => {
    if (code === null || code === 0) return;
    console.error(`${file} ended with ${code}`);
    process.exit(1);
  });
  return child;
}

function figuresOf(latenciesMs: readonly number[]): Figures {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

function medians(figures: readonly Figures[]): Figures {
  return {
    p50Ms: rounded(median(figures.map(({ p50Ms }) => p50Ms))),
    p99Ms: rounded(median(figures.map(({ p99Ms }) => p99Ms))),
  };
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

function rounded(number: number): number {
  return Number(number.toFixed(2));
}

function print(title: string, results: readonly Result[]): void {
  console.log(`\n${title}`);
  console.table(
    Object.fromEntries(
      results.map(
        ({ scenario, statements, graphql, before, bare, cql, ratioP50, ratioP99, bareRatioP50 }) => [
          scenario,
          {
            statements,
            "p50 ms": graphql.p50Ms,
            "p99 ms": graphql.p99Ms,
            ...(before !== null && { "before p50": before.p50Ms, "before p99": before.p99Ms }),
            "bare route p50": bare.p50Ms,
            "driver p50": cql.p50Ms,
            "driver p99": cql.p99Ms,
            "ratio p50": ratioP50,
            "ratio p99": ratioP99,
            "bare route's ratio p50": bareRatioP50,
          },
        ],
      ),
    ),
  );
}
