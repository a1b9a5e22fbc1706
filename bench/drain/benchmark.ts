import type { Benchmark, BenchmarkOptions, Measured, Size } from "../support/benchmark.ts";
import { NODE_OPTIONS_OF_THE_IMAGE } from "../support/image.ts";
import { IMPRESSIONS_PER_MUTATION } from "../support/mutations.ts";
import { median } from "../support/statistics.ts";
import { type DrainRounds, measureDrain, ratioOf, startContestants } from "./cluster-rounds.ts";
import { type EmbeddedRound, measureEmbeddedDrain } from "./embedded-rounds.ts";
import { openClusterBench } from "./installations.ts";

/** Impressions of one round. */
const SIZES: Record<Size, { readonly rounds: number; readonly cluster: number; readonly embedded: number }> =
  {
    full: { rounds: 5, cluster: 60_000, embedded: 150_000 },
    quick: { rounds: 3, cluster: 10_000, embedded: 50_000 },
    smoke: { rounds: 1, cluster: 600, embedded: 6_000 },
  };

/** How fast workers empty a full queue. */
export const drain: Benchmark = {
  number: 3,
  name: "drain",
  title: "Drain: from a full queue into the store",
  async measure(options): Promise<Measured> {
    const { uniform, campaign, servers } = await measureCluster(options);
    const embedded = await measureEmbedded(options);
    const perSecond = median(embedded.map((round) => round.perSecond));
    const p99Ms = median(embedded.map(({ eventLoop }) => eventLoop.p99Ms));
    return {
      goals: [
        {
          what: "Cassandra, uniform traffic: times the raw driver, a statement a row",
          unit: "x",
          bound: { atLeast: 2 },
          figure: ratioOf(uniform),
        },
        {
          what: "Cassandra, 60 % of views on one post: times the raw driver",
          unit: "x",
          bound: { atLeast: 1.6 },
          figure: ratioOf(campaign),
        },
        { what: "embedded: impressions a second", unit: "/s", bound: { atLeast: 20_000 }, figure: perSecond },
        { what: "embedded: event loop blocked, p99", unit: "ms", bound: { atMost: 20 }, figure: p99Ms },
      ],
      tables: [
        {
          title: "impressions a second",
          rows: {
            "Cassandra, uniform": row(uniform),
            "Cassandra, campaign": row(campaign),
            embedded: { ours: perSecond },
          },
        },
        {
          title: "event loop of the embedded service, ms",
          rows: {
            median: { p50: median(embedded.map(({ eventLoop }) => eventLoop.p50Ms)), p99: p99Ms },
            worst: { max: Math.max(...embedded.map(({ eventLoop }) => eventLoop.maxMs)) },
          },
        },
      ],
      charts: [
        {
          kind: "bars",
          title: "impressions a second, from a full queue",
          bars: [
            { name: "uniform, this service", value: oursOf(uniform) },
            { name: "uniform, raw driver", value: rawOf(uniform) },
            { name: "campaign, this service", value: oursOf(campaign) },
            { name: "campaign, raw driver", value: rawOf(campaign) },
            { name: "embedded", value: perSecond },
          ],
        },
      ],
      servers,
    };
  },
};

async function measureCluster({ size, say, profileDirectory, beforeDirectory }: BenchmarkOptions): Promise<{
  readonly uniform: DrainRounds;
  readonly campaign: DrainRounds;
  readonly servers: Measured["servers"];
}> {
  const { rounds, cluster } = SIZES[size];
  const mutations = cluster / IMPRESSIONS_PER_MUTATION;
  const bench = await openClusterBench();
  try {
    const profiling = profileDirectory === null ? "" : ` --cpu-prof --cpu-prof-dir=${profileDirectory}`;
    const environment = {
      NODE_ENV: "production",
      NODE_OPTIONS: `${NODE_OPTIONS_OF_THE_IMAGE}${profiling}`,
    };
    const contestants = await startContestants(bench, environment, beforeDirectory);
    try {
      say(`Cassandra, uniform: ${rounds} rounds of ${cluster} impressions`);
      const uniform = await measureDrain(contestants, { traffic: "uniform", mutations, rounds });
      say(`Cassandra, campaign: ${rounds} rounds of ${cluster} impressions`);
      const campaign = await measureDrain(contestants, { traffic: "campaign", mutations, rounds });
      return { uniform, campaign, servers: bench.installation.servers };
    } finally {
      await contestants.stop();
    }
  } finally {
    await bench.dispose();
  }
}

async function measureEmbedded({ size, say }: BenchmarkOptions): Promise<EmbeddedRound[]> {
  const { rounds, embedded } = SIZES[size];
  say(`embedded: ${rounds} rounds of ${embedded} impressions`);
  const measured: EmbeddedRound[] = [];
  for (let round = 0; round < rounds; round++) {
    measured.push(
      await measureEmbeddedDrain(embedded / IMPRESSIONS_PER_MUTATION, {
        NODE_ENV: "production",
        NODE_OPTIONS: NODE_OPTIONS_OF_THE_IMAGE,
      }),
    );
  }
  return measured;
}

function oursOf({ rounds }: DrainRounds): number {
  return median(rounds.map(({ ours }) => ours));
}

function rawOf({ rounds }: DrainRounds): number {
  return median(rounds.map(({ raw }) => raw));
}

function row(measured: DrainRounds): Record<string, number> {
  const { rounds, rawConcurrency } = measured;
  const before = rounds.flatMap((round) =>
    round.before === null ? [] : [{ ...round, before: round.before }],
  );
  return {
    ours: oursOf(measured),
    "raw driver": rawOf(measured),
    ratio: ratioOf(measured),
    "statements at once": rawConcurrency,
    ...(before.length > 0 && {
      "--before": median(before.map((round) => round.before)),
      "times --before": median(before.map((round) => round.ours / round.before)),
    }),
  };
}
