import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { createTemporaryDirectory } from "../../test/kit/directory.ts";
import { startCassandra } from "../../test/servers/cassandra.ts";
import { startNats } from "../../test/servers/nats.ts";
import { CASSANDRA_VERSION, NATS_VERSION } from "../../test/servers/toolchain.ts";
import type { Benchmark, Size, Table } from "../support/benchmark.ts";
import type { Goal } from "../support/goals.ts";

const SIZES: Record<
  Size,
  { readonly impressions: number; readonly rounds: number; readonly roundMs: number }
> = {
  full: { impressions: 200_000, rounds: 5, roundMs: 400 },
  quick: { impressions: 40_000, rounds: 3, roundMs: 200 },
  smoke: { impressions: 4_000, rounds: 1, roundMs: 50 },
};
const RATIO_MAX = 1.5;
const OUTPUT_BYTES_MAX = 2 ** 20;

interface Scenario {
  readonly scenario: string;
  readonly graphql: { readonly p50Ms: number; readonly p99Ms: number };
  readonly before: { readonly p50Ms: number; readonly p99Ms: number } | null;
  readonly bare: { readonly p50Ms: number; readonly p99Ms: number };
  readonly cql: { readonly p50Ms: number; readonly p99Ms: number };
  readonly ratioP50: number;
  readonly ratioP99: number;
  readonly bareRatioP50: number;
}

/** The part of run.ts's report that is told here. */
interface Report {
  readonly idle: readonly Scenario[];
  readonly writing: { readonly impressionsPerSecond: number; readonly scenarios: readonly Scenario[] };
}

/** The latency of a recommender's queries: run.ts on its own servers, with less data. */
export const reads: Benchmark = {
  number: 5,
  name: "recommender-reads",
  title: "Reads: the recommender's questions, times the same CQL with the bare driver",
  async measure({ size, say, beforeDirectory }) {
    const { impressions, rounds, roundMs } = SIZES[size];
    const [nats, cassandra] = await Promise.all([
      startNats({ config: { syncAlways: true } }),
      startCassandra({ jvmOptions: ["-XX:TieredStopAtLevel=4"] }),
    ]);
    const directory = createTemporaryDirectory();
    try {
      const out = join(directory.path, "reads.json");
      const environment = {
        NATS_SERVERS: nats.servers.join(","),
        SCYLLA_CONTACT_POINTS: cassandra.contactPoints.join(","),
        SCYLLA_LOCAL_DC: cassandra.localDataCenter,
      };
      say(`${impressions} impressions are stored`);
      await run("load.ts", environment, "--impressions", String(impressions));
      say(`${rounds} rounds of every question, idle and beside writes`);
      await run(
        "run.ts",
        environment,
        ...["--impressions", String(impressions), "--rounds", String(rounds)],
        ...["--round-ms", String(roundMs), "--out", out],
        ...(beforeDirectory === null ? [] : ["--before", beforeDirectory]),
      );
      const { idle, writing } = JSON.parse(readFileSync(out, "utf8")) as Report;
      const beside = `beside ${writing.impressionsPerSecond} impressions/s`;
      return {
        goals: [...goalsOf("idle", idle), ...goalsOf(beside, writing.scenarios)],
        tables: [tableOf("idle", idle), tableOf(beside, writing.scenarios)],
        charts: [
          {
            kind: "bars",
            title: "p50 of a question, times the bare driver's, idle",
            bars: idle.map(({ scenario, ratioP50 }) => ({ name: scenario, value: ratioP50 })),
          },
        ],
        servers: {
          nats: `${NATS_VERSION}, one node, sync_interval always`,
          cassandra: `${CASSANDRA_VERSION}, one node, ${impressions} impressions`,
        },
      };
    } finally {
      directory.remove();
      await Promise.all([nats.stop(), cassandra.stop()]);
    }
  },
};

function goalsOf(when: string, scenarios: readonly Scenario[]): Goal[] {
  return scenarios.map(({ scenario, ratioP50, ratioP99, bareRatioP50 }) => ({
    what: `${when}: ${scenario}: p50, times the driver's`,
    unit: "x",
    bound: { atMost: RATIO_MAX },
    figure: ratioP50,
    note: `p99 ${ratioP99}x; a bare Fastify route around the same store: ${bareRatioP50}x`,
  }));
}

function tableOf(when: string, scenarios: readonly Scenario[]): Table {
  return {
    title: when,
    rows: Object.fromEntries(
      scenarios.map(({ scenario, graphql, before, bare, cql }) => [
        scenario,
        {
          "p50 ms": graphql.p50Ms,
          "p99 ms": graphql.p99Ms,
          ...(before !== null && {
            "--before p50 ms": before.p50Ms,
            "--before p99 ms": before.p99Ms,
            "speed times --before": Number((before.p50Ms / graphql.p50Ms).toFixed(2)),
          }),
          "bare route p50 ms": bare.p50Ms,
          "driver p50 ms": cql.p50Ms,
          "driver p99 ms": cql.p99Ms,
        },
      ]),
    ),
  };
}

async function run(
  file: string,
  environment: Readonly<Record<string, string>>,
  ...parameters: readonly string[]
): Promise<void> {
  await promisify(execFile)(process.execPath, [join(import.meta.dirname, file), ...parameters], {
    env: { ...process.env, ENGINE: "cluster", ...environment },
    maxBuffer: OUTPUT_BYTES_MAX,
  });
}
