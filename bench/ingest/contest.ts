import { connect } from "nats";
import { type NatsOptions, startNats } from "../../test/support/servers/nats.ts";
import type { LineOptions, Size, Table } from "../support/line.ts";
import { startLoadGenerator } from "../support/load.ts";
import { type Arm, type ArmName, startArms, stopArms } from "./arms.ts";
import { measureRounds, medianOf, type Runs } from "./rounds.ts";

const SIZES: Record<Size, { readonly rounds: number; readonly roundMs: number }> = {
  full: { rounds: 5, roundMs: 2_500 },
  quick: { rounds: 3, roundMs: 600 },
  smoke: { rounds: 1, roundMs: 200 },
};

export const NAMES: Record<ArmName, string> = {
  service: "this service",
  before: "this service, as built in --before",
  jwt: "this service, AUTH=jwt",
  bare: "(a) bare Fastify, a message a request",
  yoga: "(b) GraphQL Yoga, a message a request",
  mercurius: "(c) Mercurius with JIT, a message a request",
  grouped: "(d) bare Fastify, our group commit",
};

/** What each arm did at one number of connections. */
export interface Contest {
  readonly connections: number;
  of(arm: ArmName): Runs;
  readonly all: readonly Runs[];
}

/** Starts NATS and the arms, and measures those named at each number of connections. */
export async function runContests(
  natsOptions: NatsOptions,
  contests: readonly { readonly connections: number; readonly arms: readonly ArmName[] }[],
  { size, say, profileDirectory, beforeDirectory }: LineOptions,
): Promise<Contest[]> {
  const nats = await startNats(natsOptions);
  const generator = await startLoadGenerator();
  const connection = await connect({ servers: nats.servers });
  let started: Arm[] = [];
  try {
    started = await startArms({
      natsServers: nats.servers,
      replicas: nats.nodes.length,
      names: [...new Set(contests.flatMap(({ arms }) => arms))],
      profileDirectory,
      beforeDirectory,
    });
    const found: Contest[] = [];
    for (const { connections, arms } of contests) {
      const taking = started.filter(({ name }) => name === "before" || arms.includes(name));
      say(`${connections} connections: ${taking.map(({ name }) => name).join(", ")}`);
      const all = await measureRounds({
        arms: taking,
        connections,
        ...SIZES[size],
        generator,
        manager: await connection.jetstreamManager(),
        natsPids: nats.nodes.map(({ pid }) => pid),
      });
      found.push({ connections, all, of: (arm) => runsOf(all, arm) });
    }
    return found;
  } finally {
    await stopArms(started);
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
        NAMES[runs.arm],
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

function runsOf(all: readonly Runs[], arm: ArmName): Runs {
  const found = all.find((runs) => runs.arm === arm);
  if (found === undefined) throw new Error(`${arm} was not measured`);
  return found;
}
