import { jmxOption, nodetool } from "../../test/servers/nodetool.ts";
import { freeBasePort } from "../../test/servers/ports.ts";
import { drainQueue } from "../drain/cluster-rounds.ts";
import { type ClusterBench, openClusterBench } from "../drain/installations.ts";
import type { Benchmark, BenchmarkOptions, Size, Table } from "../support/benchmark.ts";
import { IMPRESSIONS_PER_MUTATION } from "../support/mutations.ts";
import { tableLines } from "../support/report.ts";
import { askQuestions } from "./questions.ts";
import { storedBytes } from "./stored-bytes.ts";
import { measureWireBytes } from "./wire.ts";

interface GrowthSize {
  /** Impressions of 1x. */
  readonly base: number;
  readonly factors: readonly number[];
  readonly nodes: readonly (1 | 2 | 3)[];
  readonly workers: readonly number[];
  /** Impressions of each drain. */
  readonly drained: number;
  readonly questions: number;
  readonly wire: { readonly perSecond: number; readonly seconds: number };
}

const SIZES: Record<Size, GrowthSize> = {
  full: {
    base: 100_000,
    factors: [1, 2, 4, 8],
    nodes: [1, 2, 3],
    workers: [1, 2, 4],
    drained: 60_000,
    questions: 200,
    wire: { perSecond: 520, seconds: 15 },
  },
  quick: {
    base: 20_000,
    factors: [1, 2],
    nodes: [1, 3],
    workers: [1, 2],
    drained: 15_000,
    questions: 50,
    wire: { perSecond: 200, seconds: 4 },
  },
  smoke: {
    base: 500,
    factors: [1],
    nodes: [1],
    workers: [1],
    drained: 500,
    questions: 5,
    wire: { perSecond: 20, seconds: 1 },
  },
};

/** So many has a user on average who has been there for a while. */
const VIEWS_PER_USER = 100;
/** Beyond those of the growing data. */
const FIRST_MUTATION = 1_000_000;

/** The effect of more data, nodes and workers on speed and disk. There is no goal: docs/capacity.md has the consequences. */
export const growth: Benchmark = {
  number: 6,
  name: "growth",
  title: "How cost grows: data, nodes, workers, bytes",
  async measure(options) {
    const size = SIZES[options.size];
    const tables: Table[] = [];
    // Each at once: the whole takes minutes, and a later part may fail.
    const found = (table: Table) => {
      tables.push(table);
      options.say(`found\n${tableLines(table).join("\n")}`);
    };
    const jmxPort = await freeBasePort(["127.0.0.1"], [0]);
    const bench = await openClusterBench({ jvmOptions: [jmxOption(jmxPort)] });
    const { servers } = bench.installation;
    try {
      for (const table of await growData(bench, jmxPort, size, options)) found(table);
      found(await growWorkers(bench, size, options));
      options.say("bytes on the wire");
      found({
        title: `bytes on the wire for an impression, both directions, at ${size.wire.perSecond} mutations/s`,
        rows: Object.fromEntries(
          Object.entries(await measureWireBytes(bench.installation, size.wire)).map(([name, bytes]) => [
            name,
            { bytes },
          ]),
        ),
      });
    } finally {
      await bench.dispose();
    }
    found(await growNodes(size, options));
    return { goals: [], tables, charts: [], servers };
  },
};

/** Speed and bytes at each multiple of the data. */
async function growData(
  bench: ClusterBench,
  jmxPort: number,
  { base, factors, questions }: GrowthSize,
  { say }: BenchmarkOptions,
): Promise<Table[]> {
  const { installation } = bench;
  const { keyspace, cassandra } = installation;
  const worker = await bench.startWorker({ NODE_ENV: "production" });
  const api = await installation.start("api", { NODE_ENV: "production" });
  const client = installation.client();
  const speed: Record<string, Record<string, number>> = {};
  const bytes: Record<string, Record<string, number>> = {};
  let stored = 0;
  for (const factor of factors) {
    const impressions = base * factor;
    say(`${impressions} impressions`);
    const perSecond = await drainQueue(bench, [worker], {
      traffic: "uniform",
      first: stored / IMPRESSIONS_PER_MUTATION,
      count: (impressions - stored) / IMPRESSIONS_PER_MUTATION,
      endMs: Date.now(),
      // More users, not more views of the same: that would change what a partition holds.
      users: { first: stored / VIEWS_PER_USER, count: (impressions - stored) / VIEWS_PER_USER },
    });
    stored = impressions;
    const { unseenP50Ms, viewersP50Ms } = await askQuestions(api.url, questions, {
      first: 0,
      count: base / VIEWS_PER_USER,
    });
    speed[`${factor}x: ${impressions} impressions`] = {
      "drained/s": perSecond,
      "unseenPosts of 100, p50 ms": unseenP50Ms,
      "postViewers of 50, p50 ms": viewersP50Ms,
    };
    await nodetool(jmxPort, "flush", keyspace);
    await nodetool(jmxPort, "compact", keyspace);
    const tables = Object.entries(
      await storedBytes(client, `${cassandra.dataDirectory}/cassandra-1`, keyspace),
    );
    const sum = (part: "live" | "written") => tables.reduce((total, [, table]) => total + table[part], 0);
    bytes[`${factor}x`] = {
      ...Object.fromEntries(tables.map(([name, { live }]) => [name, live / impressions])),
      all: sum("live") / impressions,
      "written in all": sum("written") / impressions,
      amplification: sum("written") / sum("live"),
    };
  }
  await Promise.all([worker.kill("SIGTERM"), api.kill("SIGTERM")]);
  return [
    { title: "more data", rows: speed },
    { title: "bytes an impression in SSTables, compacted", rows: bytes },
  ];
}

/** The same queue, emptied by more processes. */
async function growWorkers(
  bench: ClusterBench,
  { workers, drained }: GrowthSize,
  { say }: BenchmarkOptions,
): Promise<Table> {
  const rows: Record<string, Record<string, number>> = {};
  let first = FIRST_MUTATION;
  for (const count of workers) {
    say(`${count} worker processes`);
    const started = await Promise.all(
      Array.from({ length: count }, () => bench.startWorker({ NODE_ENV: "production" })),
    );
    const mutations = drained / IMPRESSIONS_PER_MUTATION;
    // The first drain warms them up.
    let perSecond = 0;
    for (let run = 0; run < 2; run++) {
      perSecond = await drainQueue(bench, started, {
        traffic: "uniform",
        first,
        count: mutations,
        endMs: Date.now(),
      });
      first += mutations;
    }
    rows[`${count} ${count === 1 ? "process" : "processes"}`] = { "drained/s": perSecond };
    await Promise.all(started.map((worker) => worker.kill("SIGTERM")));
  }
  return { title: "more workers, on one Cassandra node", rows };
}

/** The same on more nodes, each of which has all of the data. */
async function growNodes({ nodes, drained }: GrowthSize, { say }: BenchmarkOptions): Promise<Table> {
  const rows: Record<string, Record<string, number>> = {};
  for (const count of nodes) {
    say(`${count} Cassandra nodes`);
    const bench = await openClusterBench({ nodes: count });
    try {
      const worker = await bench.startWorker({ NODE_ENV: "production" });
      const mutations = drained / IMPRESSIONS_PER_MUTATION;
      let perSecond = 0;
      for (let run = 0; run < 2; run++) {
        perSecond = await drainQueue(bench, [worker], {
          traffic: "uniform",
          first: run * mutations,
          count: mutations,
          endMs: Date.now(),
        });
      }
      rows[`${count} ${count === 1 ? "node" : "nodes"}, as many replicas`] = { "drained/s": perSecond };
    } finally {
      await bench.dispose();
    }
  }
  return { title: "more nodes, on the same cores", rows };
}
