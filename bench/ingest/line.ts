import { connect } from "nats";
import { startNats } from "../../test/support/servers/nats.ts";
import { NATS_VERSION } from "../../test/support/servers/toolchain.ts";
import type { Goal } from "../support/goals.ts";
import type { Line, Size, Table } from "../support/line.ts";
import { startLoadGenerator } from "../support/load.ts";
import { type Arm, type ArmName, startArms, stopArms } from "./arms.ts";
import { measureRounds, medianOf, type Runs, ratioOf } from "./rounds.ts";

const SIZES: Record<Size, { readonly rounds: number; readonly roundMs: number }> = {
  full: { rounds: 5, roundMs: 2_500 },
  quick: { rounds: 3, roundMs: 1_000 },
  smoke: { rounds: 1, roundMs: 200 },
};

const NAMES: Record<ArmName, string> = {
  service: "this service",
  bare: "(a) bare Fastify, a message a request",
  yoga: "(b) GraphQL Yoga, a message a request",
  mercurius: "(c) Mercurius with JIT, a message a request",
  grouped: "(d) bare Fastify, our group commit",
};

/** How fast `recordImpressions` is acknowledged, against what people would write by hand. */
export const ingest: Line = {
  number: 1,
  name: "ingest",
  title: "Ingest: recordImpressions of 10 impressions, acknowledged by JetStream",
  measure: async ({ size, say, profileDirectory }) => {
    const nats = await startNats();
    const generator = await startLoadGenerator();
    const connection = await connect({ servers: nats.servers });
    let arms: Arm[] = [];
    try {
      arms = await startArms({ natsServers: nats.servers, replicas: 1, profileDirectory });
      const measure = async (connections: number, names: readonly ArmName[]) => {
        say(`${connections} connections: ${names.join(", ")}`);
        return byName(
          await measureRounds({
            arms: arms.filter(({ name }) => names.includes(name)),
            connections,
            ...SIZES[size],
            generator,
            manager: await connection.jetstreamManager(),
            natsPid: nats.nodes[0]?.pid ?? -1,
          }),
        );
      };
      const at64 = await measure(64, ["service", "bare", "yoga", "mercurius", "grouped"]);
      const at8 = await measure(8, ["service", "bare", "grouped"]);
      const at1 = await measure(1, ["service", "bare", "grouped"]);
      return {
        goals: goalsOf(at64, at8, at1),
        tables: [table("64 connections", at64), table("8 connections", at8), table("1 connection", at1)],
        charts: [
          {
            kind: "bars",
            title: "mutations a second, 64 connections",
            bars: [...at64].map(([name, runs]) => ({
              name: NAMES[name],
              value: medianOf(runs, "perSecond"),
            })),
          },
          {
            kind: "bars",
            title: "p99 of the acknowledgement, ms, 64 connections",
            bars: [...at64].map(([name, runs]) => ({ name: NAMES[name], value: medianOf(runs, "p99Ms") })),
          },
        ],
        servers: { nats: `${NATS_VERSION}, one node, stream R1 on file, sync_interval as it comes` },
      };
    } finally {
      await stopArms(arms);
      generator.stop();
      await connection.close();
      await nats.stop();
    }
  },
};

type ByName = ReadonlyMap<ArmName, Runs>;

function byName(runs: readonly Runs[]): ByName {
  return new Map(runs.map((run) => [run.arm, run]));
}

function goalsOf(at64: ByName, at8: ByName, at1: ByName): Goal[] {
  const times = (what: string, runs: ByName, against: ArmName, atLeast: number): Goal => ({
    what,
    unit: "x",
    bound: { atLeast },
    figure: ratioOf(runsOf(runs, "service"), runsOf(runs, against), "perSecond"),
  });
  return [
    times("64 connections: rate, times (a) bare Fastify", at64, "bare", 2.5),
    times("64 connections: rate, times (b) Yoga", at64, "yoga", 5),
    times("64 connections: rate, times (c) Mercurius with JIT", at64, "mercurius", 2.8),
    times("64 connections: rate, times (d) bare with our group commit", at64, "grouped", 0.75),
    {
      what: "64 connections: p99, times that of (a)",
      unit: "x",
      bound: { atMost: 1 },
      figure: ratioOf(runsOf(at64, "service"), runsOf(at64, "bare"), "p99Ms"),
    },
    times("8 connections: rate, times (a)", at8, "bare", 1.5),
    {
      what: "1 connection: p50, times that of (a)",
      unit: "x",
      bound: { atMost: 1.25 },
      figure: ratioOf(runsOf(at1, "service"), runsOf(at1, "bare"), "p50Ms"),
    },
    {
      what: "64 connections: rate with AUTH=jwt, of that without",
      unit: "x",
      bound: { atLeast: 0.85 },
      figure: null,
      note: "there is no AUTH=jwt yet",
    },
  ];
}

function runsOf(runs: ByName, name: ArmName): Runs {
  const found = runs.get(name);
  if (found === undefined) throw new Error(`${name} was not measured`);
  return found;
}

function table(title: string, runs: ByName): Table {
  return {
    title,
    rows: Object.fromEntries(
      [...runs].map(([name, run]) => [
        NAMES[name],
        {
          "mutations/s": medianOf(run, "perSecond"),
          "p50 ms": medianOf(run, "p50Ms"),
          "p99 ms": medianOf(run, "p99Ms"),
          "server CPU us": medianOf(run, "serverCpuUs"),
          "NATS CPU us": medianOf(run, "natsCpuUs"),
          "generator CPU": medianOf(run, "generatorCpuShare"),
        },
      ]),
    ),
  };
}
