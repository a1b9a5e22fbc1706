// Loaded into a service's process (--import): measures how long its event loop is blocked. SIGUSR2 begins anew; at the end
// of the process the figures are in the file that BENCH_EVENT_LOOP_FILE names.

import { writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

export interface EventLoopDelay {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const RESOLUTION_MS = 1;
const NS_PER_MS = 1e6;

const file = process.env.BENCH_EVENT_LOOP_FILE;
if (isMainThread && file !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  process.on("SIGUSR2", () => delay.reset());
  process.once("exit", () => {
    const found: EventLoopDelay = {
      p50Ms: delay.percentile(50) / NS_PER_MS,
      p99Ms: delay.percentile(99) / NS_PER_MS,
      maxMs: delay.max / NS_PER_MS,
    };
    writeFileSync(file, JSON.stringify(found));
  });
}
