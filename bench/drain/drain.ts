// A backlog that waited, and one process that works it off: how long it takes, and what memory it takes.
//
//   npm run bench:drain -- [--engine embedded|cluster] [--impressions 1000000] [--per-message 100] [--heap-mb 512]
//
// Fills the queue while no worker runs, then starts one process of the built service (`serve` on the embedded engine,
// `worker` on the cluster) and prints its resident memory and what is left in the queue until nothing is. The cluster
// engine runs on a NATS and a Cassandra of its own.

import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Config } from "../../src/config.ts";
import { createTemporaryDirectory } from "../../test/kit/directory.ts";
import { IMPRESSIONS_PER_MUTATION } from "../support/mutations.ts";
import { memoryOf } from "../support/process-usage.ts";
import { fillQueue } from "./backlog.ts";
import { openClusterBench, openEmbeddedBench } from "./installations.ts";

const IMPRESSIONS_MAX = 10_000_000;
const PER_MESSAGE_MAX = 500;
const HEAP_MB_MAX = 65_536;
const SAMPLE_INTERVAL_MS = 1_000;
const LINE_INTERVAL_MS = 5_000;
const DRAIN_MS_MAX = 30 * 60_000;

interface Arguments {
  readonly engine: Config["ENGINE"];
  readonly impressions: number;
  readonly perMessage: number;
  readonly heapMb: number;
}

function readArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      engine: { type: "string", default: "embedded" },
      impressions: { type: "string", default: "1000000" },
      "per-message": { type: "string", default: "100" },
      // As in the image: without a limit Node lets garbage lie as long as the machine has room.
      "heap-mb": { type: "string", default: "512" },
    },
  });
  if (values.engine !== "embedded" && values.engine !== "cluster")
    throw new Error("--engine is embedded or cluster");
  return {
    engine: values.engine,
    impressions: wholeNumber("--impressions", values.impressions, IMPRESSIONS_MAX),
    perMessage: wholeNumber("--per-message", values["per-message"], PER_MESSAGE_MAX),
    heapMb: wholeNumber("--heap-mb", values["heap-mb"], HEAP_MB_MAX),
  };
}

function wholeNumber(option: string, text: string, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max)
    throw new Error(`${option} is a whole number from 1 to ${max}`);
  return value;
}

const { engine, impressions, perMessage, heapMb } = readArguments();
const directory = createTemporaryDirectory();
const bench = await (engine === "embedded" ? openEmbeddedBench(directory.path) : openClusterBench());
try {
  const fillStartMs = performance.now();
  const count = Math.ceil(impressions / IMPRESSIONS_PER_MUTATION);
  await bench.whileStopped((queue) =>
    fillQueue(queue, { traffic: "campaign", first: 0, count, endMs: Date.now() }, perMessage),
  );
  const fillSeconds = (performance.now() - fillStartMs) / 1_000;
  console.log(
    `${engine}, heap limit ${heapMb} MB: ${impressions} impressions queued, ${perMessage} a message, in ${fillSeconds.toFixed(1)} s`,
  );

  const worker = await bench.startWorker({ NODE_OPTIONS: `--max-old-space-size=${heapMb}` });
  const startedMs = performance.now();
  const samples: number[] = [];
  let saidMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    const { pending, stored, concurrency } = await bench.progress();
    const { rssMb, peakMb } = memoryOf(worker.pid);
    samples.push(rssMb);
    const elapsedMs = performance.now() - startedMs;
    if (pending === 0 || elapsedMs - saidMs >= LINE_INTERVAL_MS) {
      saidMs = elapsedMs;
      console.log(
        `${(elapsedMs / 1_000).toFixed(0).padStart(5)} s  ${String(pending).padStart(8)} messages left  ` +
          `${String(stored).padStart(9)} stored  concurrency ${concurrency}  RSS ${rssMb.toFixed(0)} MB, peak ${peakMb.toFixed(0)} MB`,
      );
    }
    if (pending === 0) {
      const perSecond = Math.round((impressions * 1_000) / elapsedMs);
      const tail = samples.slice(Math.floor(samples.length / 2)).sort((a, b) => a - b);
      console.log(
        `drained in ${(elapsedMs / 1_000).toFixed(1)} s (${perSecond} impressions/s), peak RSS ${peakMb.toFixed(0)} MB, ` +
          `median of the second half ${tail[Math.floor(tail.length / 2)]?.toFixed(0)} MB`,
      );
      break;
    }
    if (elapsedMs > DRAIN_MS_MAX) throw new Error(`not drained within ${DRAIN_MS_MAX / 60_000} minutes`);
    await sleep(SAMPLE_INTERVAL_MS);
  }
} finally {
  await bench.dispose();
  directory.remove();
}
