// npm run bench        the benchmarks that take minutes: ingest, drain, reads, start-up; about 9 minutes
// npm run bench:long   the others; about 28 minutes
//
//   -- --quick           fewer and shorter rounds: an indication, in 3 minutes
//   -- --only 1,7        these benchmarks
//   -- --out DIR         where JSON and plots go: bench/results/ unless given (bench-output/ with --quick)
//   -- --minutes N       how long benchmark 4 lasts: 5 unless given
//   -- --before DIR      benchmarks 1, 3, 5 and 8 also measure the service as built in that checkout, to tell what a change is
//                        worth; 5 on the same tables, so that the build must know them
//   -- --cpu-prof DIR    the service's processes leave their CPU profiles there
//
// Prints each goal with its figure, and whether it is met. A missed goal is a finding, not a failure.

import { parseArgs } from "node:util";
import { BENCHMARKS, LONG_BENCHMARKS } from "./benchmarks.ts";
import type { Benchmark, Size } from "./support/benchmark.ts";
import { environmentLine, readEnvironment } from "./support/environment.ts";
import { type Goal, goalLines, verdictOn } from "./support/goals.ts";
import { tableLines, writeResult } from "./support/report.ts";

const MINUTES_MAX = 24 * 60;

const { values } = parseArgs({
  options: {
    long: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
    only: { type: "string" },
    out: { type: "string" },
    "cpu-prof": { type: "string" },
    before: { type: "string" },
    minutes: { type: "string" },
  },
});
const size: Size = values.smoke ? "smoke" : values.quick ? "quick" : "full";
const directory = values.out ?? (size === "full" ? "bench/results" : "bench-output");
const minutes = values.minutes === undefined ? null : minutesOf(values.minutes);
const chosen = chosenBenchmarks(values.long ? LONG_BENCHMARKS : BENCHMARKS, values.only);

const startedMs = performance.now();
const seconds = () => `${((performance.now() - startedMs) / 1_000).toFixed(0).padStart(4)} s`;
const all: { readonly benchmark: Benchmark; readonly goals: readonly Goal[] }[] = [];
const failed: Benchmark[] = [];
for (const benchmark of chosen) {
  try {
    await run(benchmark);
  } catch (error) {
    // The others took their time, and are worth their summary.
    console.error(error);
    failed.push(benchmark);
  }
}

console.log(`\n== goal, figure, met or not (${size}; ${seconds().trim()})`);
for (const { benchmark, goals } of all)
  console.log(`\n${benchmark.number}. ${benchmark.title}\n${goalLines(goals).join("\n")}`);
const verdicts = all.flatMap(({ goals }) => goals.map(verdictOn));
const count = (verdict: string) => verdicts.filter((one) => one === verdict).length;
console.log(
  `\n${count("met")} met, ${count("missed")} missed, ${count("not measured")} not measured; JSON and plots in ${directory}/`,
);
if (failed.length > 0) {
  console.error(`without these, which failed: ${failed.map(({ title }) => title).join("; ")}`);
  process.exitCode = 1;
}

async function run(benchmark: Benchmark): Promise<void> {
  const environment = await readEnvironment();
  console.log(`\n== ${benchmark.number}. ${benchmark.title}\n${environmentLine(environment)}`);
  const measured = await benchmark.measure({
    size,
    say: (text) => console.log(`${seconds()}  ${text}`),
    profileDirectory: values["cpu-prof"] ?? null,
    beforeDirectory: values.before ?? null,
    minutes,
  });
  for (const table of measured.tables) console.log(`\n${tableLines(table).join("\n")}`);
  console.log(`\n${goalLines(measured.goals).join("\n")}`);
  await writeResult(directory, { benchmark, size, environment, measured });
  all.push({ benchmark: benchmark, goals: measured.goals });
}

function minutesOf(text: string): number {
  const minutes = Number(text);
  if (!(minutes > 0 && minutes <= MINUTES_MAX)) throw new Error(`--minutes takes up to ${MINUTES_MAX}`);
  return minutes;
}

function chosenBenchmarks(benchmarks: readonly Benchmark[], only: string | undefined): readonly Benchmark[] {
  if (only === undefined) return benchmarks;
  const numbers = only.split(",").map(Number);
  const found = benchmarks.filter(({ number }) => numbers.includes(number));
  if (found.length === 0)
    throw new Error(`--only takes some of ${benchmarks.map(({ number }) => number).join(",")}`);
  return found;
}
