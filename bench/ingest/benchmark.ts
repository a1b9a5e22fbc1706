import { NATS_VERSION } from "../../test/servers/toolchain.ts";
import type { Benchmark } from "../support/benchmark.ts";
import type { Chart } from "../support/chart.ts";
import type { Goal } from "../support/goals.ts";
import { type Contest, NAMES, runContests, tableOf } from "./contest.ts";
import type { ContestantName } from "./contestants.ts";
import { medianOf, ratioOf } from "./rounds.ts";

/** How fast `recordImpressions` is acknowledged, against what people would write by hand. */
export const ingest: Benchmark = {
  number: 1,
  name: "ingest",
  title: "Ingest: recordImpressions of 10 impressions, acknowledged by JetStream",
  async measure(options) {
    const [at64, at8, at1] = (await runContests(
      {},
      [
        { connections: 64, contestants: ["service", "jwt", "bare", "yoga", "mercurius", "grouped"] },
        { connections: 8, contestants: ["service", "bare", "grouped"] },
        { connections: 1, contestants: ["service", "bare", "grouped"] },
      ],
      options,
    )) as [Contest, Contest, Contest];
    return {
      goals: [
        times(at64, "bare", 2.5),
        times(at64, "yoga", 5),
        times(at64, "mercurius", 2.8),
        times(at64, "grouped", 0.75),
        slower(at64, "p99Ms", "p99", 1),
        times(at8, "bare", 1.5),
        slower(at1, "p50Ms", "p50", 1.25),
        {
          what: "64 connections: rate with AUTH=jwt, of that without",
          unit: "x",
          bound: { atLeast: 0.85 },
          figure: ratioOf(at64.of("jwt"), at64.of("service"), "perSecond"),
        },
      ],
      tables: [at64, at8, at1].map(tableOf),
      charts: chartsOf(at64),
      servers: { nats: `${NATS_VERSION}, one node, stream R1 on file, sync_interval as it comes` },
    };
  },
};

/** The same where an acknowledgement says most: three replicas, each of which has synced its disk. */
export const replicatedIngest: Benchmark = {
  number: 1,
  name: "ingest-r3",
  title: "Ingest on three NATS nodes, every message synced on a majority (sync_interval: always)",
  async measure(options) {
    const [at64] = (await runContests(
      { nodes: 3, config: { syncAlways: true } },
      [{ connections: 64, contestants: ["service", "bare", "grouped"] }],
      options,
    )) as [Contest];
    return {
      goals: [times(at64, "bare", 3), slower(at64, "p99Ms", "p99", 1)],
      tables: [tableOf(at64)],
      charts: chartsOf(at64),
      servers: { nats: `${NATS_VERSION}, three nodes, stream R3 on file, sync_interval always` },
    };
  },
};

function times(contest: Contest, against: ContestantName, atLeast: number): Goal {
  return {
    what: `${connections(contest)}: rate, times ${NAMES[against]}`,
    unit: "x",
    bound: { atLeast },
    figure: ratioOf(contest.of("service"), contest.of(against), "perSecond"),
  };
}

function slower(contest: Contest, figure: "p50Ms" | "p99Ms", name: string, atMost: number): Goal {
  return {
    what: `${connections(contest)}: ${name}, times that of (a)`,
    unit: "x",
    bound: { atMost },
    figure: ratioOf(contest.of("service"), contest.of("bare"), figure),
  };
}

function connections({ connections: count }: Contest): string {
  return count === 1 ? "1 connection" : `${count} connections`;
}

function chartsOf({ all }: Contest): Chart[] {
  return (
    [
      ["mutations a second, 64 connections", "perSecond"],
      ["p99 of the acknowledgement, ms, 64 connections", "p99Ms"],
      ["CPU of the server for a mutation, us", "serverCpuUs"],
    ] as const
  ).map(([title, figure]) => ({
    kind: "bars",
    title,
    bars: all.map((runs) => ({ name: NAMES[runs.contestant], value: medianOf(runs, figure) })),
  }));
}
