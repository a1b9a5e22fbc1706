import { jmxOption } from "../../test/servers/nodetool.ts";
import { freeBasePort } from "../../test/servers/ports.ts";
import { openClusterBench } from "../drain/installations.ts";
import type { Benchmark, BenchmarkOptions, Size, Table } from "../support/benchmark.ts";
import type { Goal } from "../support/goals.ts";
import { memoryOf } from "../support/process-usage.ts";
import { median } from "../support/statistics.ts";
import { historyOf } from "./history.ts";
import { medianMs, QUESTIONS } from "./questions.ts";
import { type Drained, drain, type Ground, openSide, type Side, settle } from "./sides.ts";
import { type Form, fillWith, mutationOf } from "./traffic.ts";

interface PriceSize {
  readonly rounds: number;
  readonly impressions: number;
  /** In the queue when a worker starts, to see how much it takes. */
  readonly backlog: number;
  /** Of the users in history.ts. */
  readonly share: number;
  readonly questions: number;
}

const SIZES: Record<Size, PriceSize> = {
  full: { rounds: 5, impressions: 60_000, backlog: 1_000_000, share: 1, questions: 60 },
  quick: { rounds: 3, impressions: 20_000, backlog: 100_000, share: 0.2, questions: 20 },
  smoke: { rounds: 1, impressions: 600, backlog: 600, share: 0.01, questions: 2 },
};

/** What each form of traffic is to cost, times the cost before; `atLeast` for speed. */
interface WriteGoals {
  readonly form: Form;
  readonly name: string;
  readonly speed?: Bounds;
  readonly workerCpu?: Bounds;
  readonly databaseCpu?: Bounds;
  readonly bytes?: Bounds;
  readonly written?: Bounds;
}
interface Bounds {
  readonly target: number;
  readonly floor: number;
}

const WRITES: readonly WriteGoals[] = [
  {
    name: "uniform",
    form: { traffic: "uniform", viewsPerMutation: 10, ids: "regular" },
    speed: { target: 2, floor: 1.6 },
    workerCpu: { target: 0.45, floor: 0.6 },
    databaseCpu: { target: 0.4, floor: 0.5 },
    bytes: { target: 0.38, floor: 0.45 },
    written: { target: 0.3, floor: 0.4 },
  },
  {
    name: "campaign",
    form: { traffic: "campaign", viewsPerMutation: 10, ids: "regular" },
    speed: { target: 2.1, floor: 1.7 },
  },
  {
    name: "UUIDs",
    form: { traffic: "uniform", viewsPerMutation: 10, ids: "UUID" },
    bytes: { target: 0.4, floor: 0.5 },
  },
  {
    name: "one view a mutation",
    form: { traffic: "uniform", viewsPerMutation: 1, ids: "regular" },
    bytes: { target: 0.75, floor: 0.9 },
    workerCpu: { target: 0.65, floor: 0.75 },
    databaseCpu: { target: 0.65, floor: 0.75 },
  },
];

/** What an impression and a question cost, times those of the build in --before, each with tables of its own. */
export const price: Benchmark = {
  number: 8,
  name: "price",
  title: "The price of an impression and of a question, times --before",
  async measure(options) {
    const jmxPort = await freeBasePort(["127.0.0.1"], [0]);
    const shared = await openClusterBench({ jvmOptions: [jmxOption(jmxPort)] });
    try {
      const [node] = shared.installation.cassandra.nodes;
      const ground: Ground = { shared, jmxPort, cassandraPid: node?.pid ?? Number.NaN };
      const goals: Goal[] = [];
      const writes: Record<string, Record<string, number>> = {};
      for (const write of WRITES) {
        options.say(`written: ${write.name}`);
        goals.push(...(await measureWrites(ground, write, options, writes)));
      }
      options.say("a worker's memory");
      goals.push(await measureMemory(ground, options, writes));
      options.say("questions");
      const questions = await measureQuestions(ground, options, goals);
      return {
        goals,
        tables: [{ title: "an impression written", rows: writes }, questions],
        charts: [],
        servers: shared.installation.servers,
      };
    } finally {
      await shared.dispose();
    }
  },
};

/** This build and, where one is given, the one before. */
async function withSides<Result>(
  ground: Ground,
  name: string,
  { beforeDirectory }: BenchmarkOptions,
  run: (sides: readonly Side[]) => Promise<Result>,
): Promise<Result> {
  const sides = [await openSide(ground, `${name}_ours`, null)];
  try {
    if (beforeDirectory !== null) sides.push(await openSide(ground, `${name}_before`, beforeDirectory));
    return await run(sides);
  } finally {
    await Promise.all(sides.map((side) => side.stop()));
  }
}

async function measureWrites(
  ground: Ground,
  goalsOf: WriteGoals,
  options: BenchmarkOptions,
  rows: Record<string, Record<string, number>>,
): Promise<Goal[]> {
  const { rounds, impressions } = SIZES[options.size];
  const { form, name } = goalsOf;
  const mutations = Math.ceil(impressions / form.viewsPerMutation / (form.viewsPerMutation === 1 ? 2 : 1));
  return withSides(ground, `w${WRITES.indexOf(goalsOf)}`, options, async (sides) => {
    const taking = await Promise.all(
      sides.map(async (side) => ({ side, worker: await side.start("worker"), found: [] as Drained[] })),
    );
    // The first round warms the workers up; its views are on the disk, and in none of the other figures.
    for (let round = 0; round <= rounds; round++) {
      for (let turn = 0; turn < taking.length; turn++) {
        const { side, worker, found } = taking[(turn + round) % taking.length] as (typeof taking)[number];
        const endMs = Date.now();
        const submissions = Array.from({ length: mutations }, (_, index) =>
          mutationOf(form, round * mutations + index, endMs),
        );
        const drained = await drain(ground, side, worker, submissions, `${round}`);
        if (round > 0) found.push(drained);
      }
    }
    const stored = mutations * form.viewsPerMutation * (rounds + 1);
    const figures: Record<string, number>[] = [];
    for (const { side, found } of taking) {
      const { cpuMs, liveBytes, writtenBytes } = await settle(ground, side);
      figures.push({
        "impressions/s": median(found.map(({ perSecond }) => perSecond)),
        "worker CPU us": median(found.map(({ workerCpuUs }) => workerCpuUs)),
        "database CPU us": median(found.map(({ databaseCpuUs }) => databaseCpuUs)) + (cpuMs * 1_000) / stored,
        "SSTable bytes": liveBytes / stored,
        "bytes written": writtenBytes / stored,
      });
    }
    const [ours, before] = figures;
    if (ours !== undefined) rows[name] = ours;
    if (before !== undefined) rows[`${name}, before`] = before;
    const speeds = taking[0]?.found.map(
      ({ perSecond }, round) => perSecond / (taking[1]?.found[round]?.perSecond ?? Number.NaN),
    );
    const times = (column: string) =>
      before === undefined ? null : (ours?.[column] ?? 0) / (before[column] ?? 0);
    const atMost = (column: string, bounds: Bounds | undefined): Goal[] =>
      bounds === undefined
        ? []
        : [goal(`${name}: ${column} of an impression`, { atMost: bounds.target }, times(column), bounds)];
    return [
      ...(goalsOf.speed === undefined
        ? []
        : [
            goal(
              `${name}: drained`,
              { atLeast: goalsOf.speed.target },
              before === undefined ? null : median(speeds ?? []),
              goalsOf.speed,
            ),
          ]),
      ...atMost("worker CPU us", goalsOf.workerCpu),
      ...atMost("database CPU us", goalsOf.databaseCpu),
      ...atMost("SSTable bytes", goalsOf.bytes),
      ...atMost("bytes written", goalsOf.written),
    ];
  });
}

/** The most memory that a worker has had when a full queue is empty. */
async function measureMemory(
  ground: Ground,
  options: BenchmarkOptions,
  rows: Record<string, Record<string, number>>,
): Promise<Goal> {
  const { backlog } = SIZES[options.size];
  const form: Form = { traffic: "uniform", viewsPerMutation: 10, ids: "regular" };
  const peaks = await withSides(ground, "m", options, async (sides) => {
    const found: number[] = [];
    for (const side of sides) {
      const endMs = Date.now();
      const submissions = function* () {
        for (let index = 0; index < backlog / form.viewsPerMutation; index++)
          yield mutationOf(form, index, endMs);
      };
      await side.bench.whileStopped((queue) => fillWith(queue, submissions(), "backlog"));
      const worker = await side.start("worker");
      while ((await side.bench.pending()) > 0) await new Promise((resolve) => setTimeout(resolve, 100));
      found.push(memoryOf(worker.pid).peakMb);
    }
    return found;
  });
  const [ours = Number.NaN, before] = peaks;
  rows["a worker's peak RSS"] = { MB: ours, ...(before !== undefined && { "before MB": before }) };
  const bounds = { target: 0.8, floor: 1 };
  const figure = before === undefined ? null : ours / before;
  return goal(`peak RSS of a worker, ${backlog} impressions waiting`, { atMost: 0.8 }, figure, bounds);
}

async function measureQuestions(ground: Ground, options: BenchmarkOptions, goals: Goal[]): Promise<Table> {
  const { rounds, share, questions: times } = SIZES[options.size];
  return withSides(ground, "q", options, async (sides) => {
    const endMs = Date.now();
    const urls: string[] = [];
    for (const side of sides) {
      const worker = await side.start("worker");
      await side.bench.whileStopped((queue) => fillWith(queue, historyOf(endMs, share), "history"));
      while ((await side.bench.pending()) > 0) await new Promise((resolve) => setTimeout(resolve, 100));
      await worker.kill("SIGTERM");
      await settle(ground, side);
      urls.push((await side.start("api")).url);
    }
    const rows: Record<string, Record<string, number>> = {};
    // All of them once, so that the first ones are not those that wait for the compiler.
    for (const question of QUESTIONS)
      for (const url of urls) await medianMs(question, url, { times, seed: 0, share });
    for (const question of QUESTIONS) {
      const found = urls.map((): number[] => []);
      for (let round = 0; round <= rounds; round++) {
        for (let turn = 0; turn < urls.length; turn++) {
          const at = (turn + round) % urls.length;
          const ms = await medianMs(question, urls[at] ?? "", { times, seed: round, share });
          if (round > 0) found[at]?.push(ms);
        }
      }
      const [ours = [], before] = found;
      const ratio =
        before === undefined ? null : median(ours.map((ms, round) => ms / (before[round] ?? Number.NaN)));
      rows[question.name] = {
        "p50 ms": median(ours),
        ...(before !== undefined && { "before p50 ms": median(before), times: ratio ?? Number.NaN }),
      };
      goals.push(goal(question.name, { atMost: question.target }, ratio, question));
    }
    return { title: "a question over HTTP", rows };
  });
}

function goal(what: string, bound: Goal["bound"], figure: number | null, { floor }: Bounds): Goal {
  return {
    what,
    unit: "x",
    bound,
    figure,
    note: figure === null ? "there is no --before" : `floor ${floor}x`,
  };
}
