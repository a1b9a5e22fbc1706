import { execFile } from "node:child_process";
import { cpus, loadavg, totalmem } from "node:os";
import { promisify } from "node:util";

/** The environment that a figure depends on, apart from the servers. */
export interface Environment {
  readonly date: string;
  readonly commit: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly node: string;
  /** Over the minute before: what else the machine did. */
  readonly loadBefore: number;
}

export async function readEnvironment(): Promise<Environment> {
  const commit = await promisify(execFile)("git", ["rev-parse", "--short", "HEAD"])
    .then(({ stdout }) => stdout.trim())
    .catch(() => "unknown");
  return {
    date: new Date().toISOString(),
    commit,
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    loadBefore: Number((loadavg()[0] ?? Number.NaN).toFixed(2)),
  };
}

/** Prints it as one line. */
export async function printEnvironment(): Promise<void> {
  console.log(environmentLine(await readEnvironment()));
}

export function environmentLine(environment: Environment): string {
  const { cores, cpu, memoryGiB, loadBefore, node, commit, date } = environment;
  return `${cores} x ${cpu}, ${memoryGiB} GiB, load before ${loadBefore}; Node ${node}; commit ${commit}; ${date}`;
}
