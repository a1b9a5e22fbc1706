import { setTimeout as sleep } from "node:timers/promises";
import { PipelineDocument } from "../../src/generated/operations.ts";
import { query } from "../../test/kit/graphql-request.ts";
import { startApiAndWorker } from "../support/api-and-worker.ts";
import type { Benchmark, Measured, Size } from "../support/benchmark.ts";
import { openInstallation } from "../support/installation.ts";
import { type LoadSecond, startOpenLoad } from "../support/load.ts";
import { median, percentile } from "../support/statistics.ts";
import { type Sample, sampleLag } from "./sampler.ts";
import { type Watched, watchWhile } from "./watch.ts";

interface LagSize {
  /** Lets the servers be compiled where they are hot, as those of production are. */
  readonly warmUp: { readonly perSecond: number; readonly seconds: number };
  readonly stages: readonly { readonly perSecond: number; readonly seconds: number }[];
}

/** Ten impressions a mutation: the last stage is ten times the peak of the app that this is for, 520 impressions a second. */
const SIZES: Record<Size, LagSize> = {
  full: {
    warmUp: { perSecond: 130, seconds: 60 },
    stages: [
      { perSecond: 260, seconds: 60 },
      { perSecond: 520, seconds: 300 },
    ],
  },
  quick: { warmUp: { perSecond: 130, seconds: 30 }, stages: [{ perSecond: 520, seconds: 30 }] },
  smoke: { warmUp: { perSecond: 20, seconds: 1 }, stages: [{ perSecond: 20, seconds: 3 }] },
};
/** Of each stage; not looked at. */
const SETTLE_SHARE = 0.2;
const SAMPLES_PER_SECOND = 5;
/** A fifth of a second's messages if each mutation were one; what is in flight anyway. */
const BACKLOG_MAX = 100;
const RSS_GROWTH_MAX = 1.1;
/** How long a stage's backlog may take before the next one begins all the same. */
const DRAIN_MS_MAX = 120_000;
const DRAIN_POLL_MS = 500;

/** Measurements of a stage. */
interface Stage {
  readonly perSecond: number;
  readonly seconds: number;
  readonly answered: readonly LoadSecond[];
  readonly samples: readonly Sample[];
  readonly watched: readonly Watched[];
}

/** From the acknowledgement until a recommender can know: everything on this machine, for as long as it takes to see growth. */
export const lag: Benchmark = {
  number: 4,
  name: "lag",
  title: "End to end: API, workers, NATS and Cassandra on one machine",
  async measure({ size, say, minutes }) {
    const { warmUp, stages } = SIZES[size];
    const load = await startOpenLoad();
    const installation = await openInstallation();
    try {
      const { api, worker } = await startApiAndWorker(installation);
      const pids = [api.pid, worker.pid];
      let first = 0;
      const run = async (perSecond: number, seconds: number): Promise<Stage> => {
        const phases = [{ perSecond, seconds }];
        const running = load.run({ url: api.url, phases, traffic: "uniform", first });
        first += Math.ceil(perSecond * seconds);
        const sampling = { name: `sample-${first}`, perSecond: SAMPLES_PER_SECOND, seconds };
        const [answered, samples, watched] = await Promise.all([
          running,
          sampleLag(api.url, sampling),
          watchWhile(api.url, pids, running),
        ]);
        await drained(api.url);
        return { perSecond, seconds, answered, samples, watched };
      };
      say(`warm-up: ${warmUp.perSecond} mutations/s for ${warmUp.seconds} s`);
      await run(warmUp.perSecond, warmUp.seconds);
      const found: Stage[] = [];
      for (const [index, { perSecond, ...standard }] of stages.entries()) {
        const isLast = index === stages.length - 1;
        const seconds = isLast && minutes !== null ? Math.ceil(minutes * 60) : standard.seconds;
        say(`${perSecond} mutations/s for ${seconds} s`);
        found.push(await run(perSecond, seconds));
      }
      return report(found, installation.servers);
    } finally {
      load.stop();
      await installation.dispose();
    }
  },
};

/** Waits until the workers have stored what is left. */
async function drained(url: string): Promise<void> {
  const endMs = performance.now() + DRAIN_MS_MAX;
  while (performance.now() < endMs) {
    const { pipeline } = await query(url, PipelineDocument, {});
    if (pipeline.pending === 0) return;
    await sleep(DRAIN_POLL_MS);
  }
}

/** The figures of a stage, without its first seconds. */
function figuresOf({ seconds, answered, samples, watched }: Stage) {
  const settled = Math.floor(seconds * SETTLE_SHARE);
  const ackMs = answered.slice(settled, seconds).flatMap(({ latenciesMs }) => latenciesMs);
  const lagMs = samples.filter(({ atMs }) => atMs >= settled * 1_000).map((sample) => sample.lagMs);
  const steady = watched.slice(settled);
  const third = Math.ceil(steady.length / 3);
  const backlog = steady.map((second) => second.backlog);
  const growthOf = (process: number) => {
    const rssMb = steady.map((second) => second.rssMb[process] ?? Number.NaN);
    return median(rssMb.slice(-third)) / median(rssMb.slice(0, third));
  };
  return {
    ackP50Ms: percentile(ackMs, 0.5),
    ackP99Ms: percentile(ackMs, 0.99),
    lagP50Ms: percentile(lagMs, 0.5),
    lagP99Ms: percentile(lagMs, 0.99),
    backlogAtTheEnd: median(backlog.slice(-third)),
    apiGrowth: growthOf(0),
    workerGrowth: growthOf(1),
    failed: answered.reduce((sum, second) => sum + second.failed, 0),
  };
}

/** @param stages the goals are the last one's. */
function report(stages: readonly Stage[], servers: Readonly<Record<string, string>>): Measured {
  const last = stages.at(-1);
  if (last === undefined) throw new Error("there is a stage");
  const { seconds, answered, samples, watched } = last;
  const figures = figuresOf(last);
  const perSecondOf = (share: number) =>
    answered.slice(0, seconds).map(({ latenciesMs }) => percentile(latenciesMs, share));
  return {
    goals: [
      {
        what: "lag from ack to visible, p99",
        unit: "ms",
        bound: { atMost: 500 },
        figure: figures.lagP99Ms,
      },
      { what: "ack, p99", unit: "ms", bound: { atMost: 50 }, figure: figures.ackP99Ms },
      {
        what: "backlog flat: messages, median of the last third",
        unit: "",
        bound: { atMost: BACKLOG_MAX },
        figure: figures.backlogAtTheEnd,
      },
      {
        what: "RSS flat: API, last third, times the first",
        unit: "x",
        bound: { atMost: RSS_GROWTH_MAX },
        figure: figures.apiGrowth,
      },
      {
        what: "RSS flat: worker, last third, times the first",
        unit: "x",
        bound: { atMost: RSS_GROWTH_MAX },
        figure: figures.workerGrowth,
      },
    ],
    tables: [
      {
        title: "by mutations a second, of 10 impressions each",
        rows: Object.fromEntries(
          stages.map((stage) => {
            const { apiGrowth: _, workerGrowth: __, ...row } = figuresOf(stage);
            return [`${stage.perSecond}/s for ${stage.seconds} s`, row];
          }),
        ),
      },
    ],
    charts: [
      {
        kind: "seconds",
        title: "acknowledgement, ms",
        series: [
          { name: "p99", color: "#c0392b", values: perSecondOf(0.99) },
          { name: "p50", color: "#2c3e50", values: perSecondOf(0.5) },
        ],
      },
      {
        kind: "seconds",
        title: "lag from ack to visible, ms",
        series: [{ name: "longest", color: "#6c3483", values: longestLags(samples, seconds) }],
      },
      {
        kind: "seconds",
        title: "messages in the queue",
        series: [{ name: "backlog", color: "#7d6608", values: watched.map((second) => second.backlog) }],
      },
      {
        kind: "seconds",
        title: "resident memory, MB",
        series: [
          { name: "API", color: "#1f6f8b", values: watched.map(({ rssMb }) => rssMb[0] ?? 0) },
          { name: "worker", color: "#7d6608", values: watched.map(({ rssMb }) => rssMb[1] ?? 0) },
        ],
      },
    ],
    servers,
  };
}

/** For each second, the longest lag of what was acknowledged in it. */
function longestLags(samples: readonly Sample[], seconds: number): number[] {
  const bySecond = Map.groupBy(samples, ({ atMs }) => Math.floor(atMs / 1_000));
  return Array.from({ length: seconds }, (_, second) =>
    Math.max(0, ...(bySecond.get(second) ?? []).map((sample) => sample.lagMs)),
  );
}
