import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ServiceProcess } from "../../test/kit/service-process.ts";
import { VIEWS_PER_USER } from "../reads/dataset.ts";
import { startApiAndWorker } from "../support/api-and-worker.ts";
import type { Benchmark, Measured, Size } from "../support/benchmark.ts";
import { type ChildServer, startChildServer } from "../support/child-server.ts";
import { type BenchInstallation, openInstallation } from "../support/installation.ts";
import { type OpenLoad, startOpenLoad } from "../support/load.ts";
import { median } from "../support/statistics.ts";
import {
  type Campaign,
  campaignOf,
  type Plan,
  p99MsBySecond,
  questionRatio,
  recoverySeconds,
} from "./figures.ts";
import { BUFFER_POOL_MB, type MariaDb, startMariaDb } from "./mariadb.ts";
import { askWhile } from "./question-load.ts";

interface CampaignSize {
  readonly rounds: number;
  readonly mariaDbRows: number;
  readonly storedImpressions: number;
  readonly plan: Plan;
}

const SIZES: Record<Size, CampaignSize> = {
  full: {
    rounds: 5,
    mariaDbRows: 3_000_000,
    storedImpressions: 100_000,
    plan: { settleSeconds: 3, burstFrom: 18, burstTo: 33, end: 45 },
  },
  quick: {
    rounds: 3,
    mariaDbRows: 500_000,
    storedImpressions: 20_000,
    plan: { settleSeconds: 2, burstFrom: 7, burstTo: 13, end: 18 },
  },
  smoke: {
    rounds: 1,
    mariaDbRows: 10_000,
    storedImpressions: 1_000,
    plan: { settleSeconds: 0, burstFrom: 1, burstTo: 2, end: 3 },
  },
};

/** Of what the MariaDB route can do at all, with so many requests at once. */
const STEADY_SHARE = 0.2;
const PROBE = { perSecond: 2_000, seconds: 4 };
const PROBE_IN_FLIGHT = 64;
const BURST_FACTOR = 10;
/** The probe has sent those before it. */
const FIRST_MUTATION = 100_000;
/** Where there is no MariaDB to ask; about what its route does here. */
const STEADY_PER_SECOND_DEFAULT = 60;

/** A notification brings everyone into the app: the same load on the service, and on a route that inserts into MariaDB. */
export const campaign: Benchmark = {
  number: 2,
  name: "campaign",
  title: "A campaign: steady load, a burst of ten times as much, steady load again",
  async measure(options) {
    const size = SIZES[options.size];
    const load = await startOpenLoad();
    const mariaDb = await startMariaDb(size.mariaDbRows);
    const installation = await openInstallation();
    let route: ChildServer | null = null;
    try {
      if (mariaDb !== null) route = await startRoute(mariaDb);
      const service = await startService(installation, size);
      const steadyPerSecond = route === null ? STEADY_PER_SECOND_DEFAULT : await steadyRate(load, route);
      const ours: Campaign[] = [];
      const theirs: Campaign[] = [];
      const questionRatios: number[] = [];
      let first = FIRST_MUTATION;
      const run = async (url: string) => {
        const { plan } = size;
        const phases = [
          { perSecond: steadyPerSecond, seconds: plan.burstFrom },
          { perSecond: steadyPerSecond * BURST_FACTOR, seconds: plan.burstTo - plan.burstFrom },
          { perSecond: steadyPerSecond, seconds: plan.end - plan.burstTo },
        ];
        const order = { url, phases, traffic: "campaign", first } as const;
        first += phases.reduce((sum, { perSecond, seconds }) => sum + Math.ceil(perSecond * seconds), 0);
        return load.run(order);
      };
      options.say(`warm-up, ${steadyPerSecond.toFixed(0)} mutations/s steady`);
      await run(service.url);
      for (let round = 1; round <= size.rounds; round++) {
        options.say(`round ${round} of ${size.rounds}`);
        if (route !== null) theirs.push(campaignOf(await run(route.url), size.plan));
        const running = run(service.url);
        const asked = await askWhile(service.url, size.storedImpressions / VIEWS_PER_USER, running);
        ours.push(campaignOf(await running, size.plan));
        questionRatios.push(questionRatio(asked, size.plan));
      }
      return report({
        ours,
        theirs,
        questionRatios,
        steadyPerSecond,
        plan: size.plan,
        mariaDb,
        installation,
      });
    } finally {
      load.stop();
      await route?.stop();
      await mariaDb?.stop();
      await installation.dispose();
    }
  },
};

/** API and worker, with views in the store to ask about. @returns the API. */
async function startService(
  installation: BenchInstallation,
  { storedImpressions }: CampaignSize,
): Promise<ServiceProcess> {
  await promisify(execFile)(
    process.execPath,
    [join(import.meta.dirname, "../reads/load.ts"), "--impressions", String(storedImpressions)],
    { env: { ...process.env, ...installation.environment } },
  );
  return (await startApiAndWorker(installation)).api;
}

/** A fifth of what the route inserts with 64 requests at once. */
async function steadyRate(load: OpenLoad, { url }: ChildServer): Promise<number> {
  const probe = {
    url,
    phases: [PROBE],
    traffic: "campaign",
    first: 0,
    inFlightMax: PROBE_IN_FLIGHT,
  } as const;
  const seconds = await load.run(probe);
  const answered = seconds.reduce((sum, { latenciesMs }) => sum + latenciesMs.length, 0);
  return (STEADY_SHARE * answered) / PROBE.seconds;
}

function startRoute({ socketPath, database }: MariaDb): Promise<ChildServer> {
  return startChildServer(join(import.meta.dirname, "baselines/mariadb-route.ts"), {
    MARIADB_SOCKET: socketPath,
    MARIADB_DATABASE: database,
  });
}

function report(found: {
  readonly ours: readonly Campaign[];
  readonly theirs: readonly Campaign[];
  readonly questionRatios: readonly number[];
  readonly steadyPerSecond: number;
  readonly plan: Plan;
  readonly mariaDb: MariaDb | null;
  readonly installation: BenchInstallation;
}): Measured {
  const { ours, theirs, questionRatios, steadyPerSecond, plan, mariaDb, installation } = found;
  const load = `${steadyPerSecond.toFixed(0)}/s, then ${(steadyPerSecond * BURST_FACTOR).toFixed(0)}/s for ${plan.burstTo - plan.burstFrom} s`;
  const shaded = { from: plan.burstFrom, to: plan.burstTo };
  const middle = theirs.toSorted((a, b) => a.burstP99Ms - b.burstP99Ms)[Math.floor(theirs.length / 2)];
  const series = (name: string, color: string, campaigns: readonly Campaign[]) => ({
    kind: "seconds" as const,
    title: `p99 of the acknowledgement, ms, ${name}`,
    series: [{ name: "p99", color, values: p99MsBySecond(campaigns) }],
    shaded,
  });
  return {
    goals: [
      {
        what: "ack p99 in the burst, times steady",
        unit: "x",
        bound: { atMost: 2 },
        figure: median(ours.map(({ burstP99Ms, steadyP99Ms }) => burstP99Ms / steadyP99Ms)),
        note: noteOf(middle && `${(middle.burstP99Ms / middle.steadyP99Ms).toFixed(1)}x`),
      },
      {
        what: "back to twice the steady p99 after the burst",
        unit: "s",
        bound: { atMost: 2 },
        figure: recoverySeconds(ours, plan),
        note: noteOf(middle && `${recoverySeconds(theirs, plan)} s`),
      },
      {
        what: "unseenPosts beside the burst: p99, times steady",
        unit: "x",
        bound: { atMost: 2 },
        figure: median(questionRatios),
      },
    ],
    tables: [
      {
        title: `ack p99 in ms, ${load}`,
        rows: {
          "this service": row(ours, plan),
          ...(theirs.length === 0 ? {} : { "route into MariaDB": row(theirs, plan) }),
        },
      },
    ],
    charts: [
      series("this service", "#1f6f8b", ours),
      ...(theirs.length === 0 ? [] : [series("MariaDB", "#c0392b", theirs)]),
    ],
    servers: {
      ...installation.servers,
      mariadb:
        mariaDb === null
          ? "not installed (Debian: apt-get install mariadb-server)"
          : `${mariaDb.version}, every commit synced, table of ${mariaDb.tableMb.toFixed(0)} MB, buffer pool of ${BUFFER_POOL_MB} MB`,
    },
  };
}

function row(campaigns: readonly Campaign[], plan: Plan): Record<string, number> {
  const of = (figure: Exclude<keyof Campaign, "p99Ms">) => median(campaigns.map((one) => one[figure]));
  return {
    steady: of("steadyP99Ms"),
    burst: of("burstP99Ms"),
    after: of("afterP99Ms"),
    "seconds to recover": recoverySeconds(campaigns, plan),
    failed: of("failed"),
  };
}

/** The figure of the route into MariaDB, next to the service's. */
function noteOf(told: string | undefined): string {
  return told === undefined ? "MariaDB is not installed" : `MariaDB: ${told}`;
}
