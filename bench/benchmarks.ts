import { campaign } from "./campaign/benchmark.ts";
import { drain } from "./drain/benchmark.ts";
import { growth } from "./growth/benchmark.ts";
import { ingest, replicatedIngest } from "./ingest/benchmark.ts";
import { lag } from "./lag/benchmark.ts";
import { price } from "./price/benchmark.ts";
import { reads } from "./reads/benchmark.ts";
import { startup } from "./startup/benchmark.ts";
import type { Benchmark } from "./support/benchmark.ts";

/** The benchmarks of `npm run bench`. */
export const BENCHMARKS: readonly Benchmark[] = [ingest, drain, reads, startup];

/** The benchmarks of `npm run bench:long`. */
export const LONG_BENCHMARKS: readonly Benchmark[] = [replicatedIngest, campaign, lag, growth, price];
