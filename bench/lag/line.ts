import { openInstallation } from "../support/installation.ts";
import type { Line, Measured, Size } from "../support/line.ts";
import { type LoadSecond, startOpenLoad } from "../support/load.ts";
import { median, percentile } from "../support/statistics.ts";
import { type Sample, sampleLag } from "./sampler.ts";
import { type Watched, watchWhile } from "./watch.ts";

const SIZES: Record<Size, { readonly seconds: number; readonly perSecond: number }> = {
  // Ten impressions each: ten times the peak of the app that this is for, 520 impressions a second.
  full: { seconds: 300, perSecond: 520 },
  quick: { seconds: 30, perSecond: 520 },
  smoke: { seconds: 3, perSecond: 20 },
};
/** As long as the processes take to be compiled where they are hot; not looked at. */
const WARM_UP_SHARE = 0.2;
const SAMPLES_PER_SECOND = 5;
/** A fifth of a second's messages if each mutation were one; what is in flight anyway. */
const BACKLOG_MAX = 100;
const RSS_GROWTH_MAX = 1.1;

/** From the acknowledgement until a recommender can know: everything on this machine, for as long as it takes to see growth. */
export const lag: Line = {
  number: 4,
  name: "lag",
  title: "End to end: API, workers, NATS and Cassandra on one machine",
  async measure({ size, say, minutes }) {
    const { perSecond, ...standard } = SIZES[size];
    const seconds = minutes === null ? standard.seconds : Math.ceil(minutes * 60);
    const load = await startOpenLoad();
    const installation = await openInstallation();
    try {
      const environment = {
        NODE_ENV: "production",
        QUEUE_MAX_BYTES: "1GiB",
        // As in the image.
        NODE_OPTIONS: "--max-old-space-size=512",
      };
      const api = await installation.start("api", environment);
      const worker = await installation.start("worker", environment);
      say(`${perSecond} mutations/s for ${seconds} s`);
      const running = load.run({
        url: api.url,
        phases: [{ perSecond, seconds }],
        traffic: "uniform",
        first: 0,
      });
      const [answered, samples, watched] = await Promise.all([
        running,
        sampleLag(api.url, { perSecond: SAMPLES_PER_SECOND, seconds }),
        watchWhile(api.url, [api.pid, worker.pid], running),
      ]);
      return report({ seconds, perSecond, answered, samples, watched, servers: installation.servers });
    } finally {
      load.stop();
      await installation.dispose();
    }
  },
};

function report(found: {
  readonly seconds: number;
  readonly perSecond: number;
  readonly answered: readonly LoadSecond[];
  readonly samples: readonly Sample[];
  readonly watched: readonly Watched[];
  readonly servers: Readonly<Record<string, string>>;
}): Measured {
  const { seconds, perSecond, answered, samples, watched, servers } = found;
  const warm = Math.floor(seconds * WARM_UP_SHARE);
  const looked = answered.slice(warm, seconds);
  const ackMs = looked.flatMap(({ latenciesMs }) => latenciesMs);
  const lagMs = samples.filter(({ atMs }) => atMs >= warm * 1_000).map((sample) => sample.lagMs);
  const steady = watched.slice(warm);
  const backlog = steady.map((second) => second.backlog);
  const third = Math.ceil(steady.length / 3);
  const [apiGrowth, workerGrowth] = [0, 1].map((process) => {
    const rssMb = steady.map((second) => second.rssMb[process] ?? Number.NaN);
    return median(rssMb.slice(-third)) / median(rssMb.slice(0, third));
  }) as [number, number];
  const failed = answered.reduce((sum, second) => sum + second.failed, 0);
  const perSecondOf = (share: number) =>
    answered.slice(0, seconds).map(({ latenciesMs }) => percentile(latenciesMs, share));
  return {
    goals: [
      {
        what: "lag from ack to visible, p99",
        unit: "ms",
        bound: { atMost: 500 },
        figure: percentile(lagMs, 0.99),
      },
      { what: "ack, p99", unit: "ms", bound: { atMost: 50 }, figure: percentile(ackMs, 0.99) },
      {
        what: "backlog flat: messages, median of the last third",
        unit: "",
        bound: { atMost: BACKLOG_MAX },
        figure: median(backlog.slice(-third)),
      },
      {
        what: "RSS flat: API, last third, times the first",
        unit: "x",
        bound: { atMost: RSS_GROWTH_MAX },
        figure: apiGrowth,
      },
      {
        what: "RSS flat: worker, last third, times the first",
        unit: "x",
        bound: { atMost: RSS_GROWTH_MAX },
        figure: workerGrowth,
      },
    ],
    tables: [
      {
        title: `${perSecond} mutations/s of 10 impressions, ${seconds} s`,
        rows: {
          "ack, ms": {
            p50: percentile(ackMs, 0.5),
            p99: percentile(ackMs, 0.99),
            count: ackMs.length,
            failed,
          },
          "lag, ms": { p50: percentile(lagMs, 0.5), p99: percentile(lagMs, 0.99), count: lagMs.length },
          "backlog, messages": { p50: percentile(backlog, 0.5), p99: percentile(backlog, 0.99) },
        },
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
