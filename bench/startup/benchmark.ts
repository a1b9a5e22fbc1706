import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { createTemporaryDirectory } from "../../test/kit/directory.ts";
import type { Benchmark, Size } from "../support/benchmark.ts";
import { mutationBody } from "../support/mutations.ts";
import { memoryOf } from "../support/process-usage.ts";
import { median } from "../support/statistics.ts";
import { measureInstalled } from "./installed.ts";

const ROOT = join(import.meta.dirname, "../..");
const SIZES: Record<Size, { readonly rounds: number; readonly idleMs: number }> = {
  full: { rounds: 7, idleMs: 5_000 },
  quick: { rounds: 3, idleMs: 1_000 },
  smoke: { rounds: 1, idleMs: 0 },
};
const BYTES_PER_MB = 1e6;

interface Start {
  readonly answeredMs: number;
  readonly idleRssMb: number;
}

/** The cost of a started service: time, memory, disk. */
export const startup: Benchmark = {
  number: 7,
  name: "startup",
  title: "Start-up and size, on the embedded engine",
  async measure({ size, say }) {
    const { rounds, idleMs } = SIZES[size];
    say(`${rounds} starts`);
    const starts: Start[] = [];
    for (let round = 0; round < rounds; round++) starts.push(await startOnce(idleMs));
    const installed = await measureInstalled(ROOT);
    const answeredMs = median(starts.map((start) => start.answeredMs));
    const idleRssMb = median(starts.map((start) => start.idleRssMb));
    return {
      goals: [
        {
          what: "`npm start` to first answered mutation, built",
          unit: "ms",
          bound: { atMost: 2_000 },
          figure: answeredMs,
        },
        { what: "idle RSS", unit: "MB", bound: { atMost: 150 }, figure: idleRssMb },
      ],
      tables: [
        {
          title: "production dependencies (docs/dependencies.md)",
          rows: {
            "named in package.json": { packages: installed.direct },
            "with what those need": {
              packages: installed.packages,
              MB: installed.bytes / BYTES_PER_MB,
            },
          },
        },
      ],
      charts: [],
      servers: {},
    };
  },
};

/** `npm start` without its build, in an empty data directory, until a mutation is answered. */
async function startOnce(idleMs: number): Promise<Start> {
  const directory = createTemporaryDirectory();
  const startedMs = performance.now();
  const npm = spawn("npm", ["start", "--ignore-scripts"], {
    cwd: ROOT,
    env: { ...process.env, DATA_DIR: directory.path, PORT: "0", LOG_LEVEL: "info" },
    stdio: ["ignore", "ignore", "pipe"],
    // npm and what it starts: all of them are to be stopped.
    detached: true,
  });
  try {
    const url = await urlOf(npm.stderr);
    await record(url);
    const answeredMs = performance.now() - startedMs;
    await sleep(idleMs);
    return { answeredMs, idleRssMb: memoryOf(childOf(npm.pid ?? -1)).rssMb };
  } finally {
    const exited = once(npm, "exit");
    process.kill(-(npm.pid ?? 0), "SIGTERM");
    await exited;
    directory.remove();
  }
}

async function urlOf(log: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: log })) {
    if (line.includes('"msg":"ready"')) return (JSON.parse(line) as { url: string }).url;
  }
  throw new Error("the service ended before it was ready");
}

/** The service that npm has started; npm's script begins with `exec`, so that no shell lies between. */
function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim());
}

async function record(url: string): Promise<void> {
  const answer = await fetch(new URL("/graphql", url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: mutationBody({ userId: "first", postIds: ["post"], lastViewMs: Date.now() }),
  });
  const text = await answer.text();
  if (!text.includes('"accepted":1')) throw new Error(text);
}
