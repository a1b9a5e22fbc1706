import { connect } from "nats";
import { type NatsOptions, startNats } from "../../test/servers/nats.ts";
import type { BenchmarkOptions, Size, Table } from "../support/benchmark.ts";
import { startLoadGenerator } from "../support/load.ts";
import { type Contestant, type ContestantName, startContestants, stopContestants } from "./contestants.ts";
import { measureRounds, medianOf, type Runs } from "./rounds.ts";

const SIZES: Record<Size, { readonly rounds: number; readonly roundMs: number }> = {
  full: { rounds: 5, roundMs: 2_500 },
  quick: { rounds: 3, roundMs: 600 },
  smoke: { rounds: 1, roundMs: 200 },
};

export const NAMES: Record<ContestantName, string> = {
  service: "this service",
  before: "this service, as built in --before",
  jwt: "this service, AUTH=jwt",
  bare: "(a) bare Fastify, a message a request",
  yoga: "(b) GraphQL Yoga, a message a request",
  mercurius: "(c) Mercurius with JIT, a message a request",
  grouped: "(d) bare Fastify, our group commit",
};

/** The results of each contestant at one number of connections. */
export interface Contest {
  readonly connections: number;
  of(contestant: ContestantName): Runs;
  readonly all: readonly Runs[];
}

/** Starts NATS and the contestants, and measures those named at each number of connections. */
export async function runContests(
  natsOptions: NatsOptions,
  contests: readonly { readonly connections: number; readonly contestants: readonly ContestantName[] }[],
  { size, say, profileDirectory, beforeDirectory }: BenchmarkOptions,
): Promise<Contest[]> {
  const nats = await startNats(natsOptions);
  const generator = await startLoadGenerator();
  const connection = await connect({ servers: nats.servers });
  let started: Contestant[] = [];
  try {
    started = await startContestants({
      natsServers: nats.servers,
      replicas: nats.nodes.length,
      names: [...new Set(contests.flatMap(({ contestants }) => contestants))],
      profileDirectory,
      beforeDirectory,
    });
    const found: Contest[] = [];
    for (const { connections, contestants } of contests) {
      const taking = started.filter(({ name }) => name === "before" || contestants.includes(name));
      say(`${connections} connections: ${taking.map(({ name }) => name).join(", ")}`);
      const all = await measureRounds({
        contestants: taking,
        connections,
        ...SIZES[size],
        generator,
        manager: await connection.jetstreamManager(),
        natsPids: nats.nodes.map(({ pid }) => pid),
      });
      found.push({ connections, all, of: (contestant) => runsOf(all, contestant) });
    }
    return found;
  } finally {
    await stopContestants(started);
    generator.stop();
    await connection.close();
    await nats.stop();
  }
}

/** All figures of a contest. */
export function tableOf({ connections, all }: Contest): Table {
  return {
    title: connections === 1 ? "1 connection" : `${connections} connections`,
    rows: Object.fromEntries(
      all.map((runs) => [
        NAMES[runs.contestant],
        {
          "mutations/s": medianOf(runs, "perSecond"),
          "p50 ms": medianOf(runs, "p50Ms"),
          "p99 ms": medianOf(runs, "p99Ms"),
          "server CPU us": medianOf(runs, "serverCpuUs"),
          "NATS CPU us": medianOf(runs, "natsCpuUs"),
          "generator CPU": medianOf(runs, "generatorCpuShare"),
        },
      ]),
    ),
  };
}

function runsOf(all: readonly Runs[], contestant: ContestantName): Runs {
  const found = all.find((runs) => runs.contestant === contestant);
  if (found === undefined) throw new Error(`${contestant} was not measured`);
  return found;
}
