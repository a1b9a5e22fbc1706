import type { Chart } from "./chart.ts";
import type { Goal } from "./goals.ts";

/** How much is measured: `full` for figures to keep, `quick` for an indication, `smoke` to see that it runs. */
export type Size = "full" | "quick" | "smoke";

/** One line of the bench's table: a question about the service's speed, size or growth, with goals of its own. */
export interface Benchmark {
  /** As in the table, and for `--only`. */
  readonly number: number;
  /** Of its files in bench/results/. */
  readonly name: string;
  readonly title: string;
  /** Starts what it needs, measures, stops it again. */
  measure(options: BenchmarkOptions): Promise<Measured>;
}

export interface BenchmarkOptions {
  readonly size: Size;
  /** Says how far it is; a measurement takes minutes. */
  readonly say: (text: string) => void;
  /** Where the service's processes leave their CPU profiles; null for none. Profiling costs a tenth of the speed. */
  readonly profileDirectory: string | null;
  /** Another checkout with a build of the service, which takes turns with this one; null for none. */
  readonly beforeDirectory: string | null;
  /** How long a line lasts that looks for growth; null for as long as its size says. */
  readonly minutes: number | null;
}

/** The result of a benchmark. */
export interface Measured {
  readonly goals: readonly Goal[];
  /** The figures behind the goals, as tables to read: a row's name, then its columns. */
  readonly tables: readonly Table[];
  readonly charts: readonly Chart[];
  /** Versions of the servers that took part. */
  readonly servers: Readonly<Record<string, string>>;
}

export interface Table {
  readonly title: string;
  readonly rows: Readonly<Record<string, Readonly<Record<string, number | string>>>>;
}
