import { execFile } from "node:child_process";
import { cpus, loadavg, totalmem } from "node:os";
import { promisify } from "node:util";

/** Prints what a figure depends on: machine, load, Node, commit. */
export async function printEnvironment(): Promise<void> {
  const commit = await promisify(execFile)("git", ["rev-parse", "--short", "HEAD"])
    .then(({ stdout }) => stdout.trim())
    .catch(() => "unknown");
  const [cpu] = cpus();
  console.log(
    `${cpus().length} x ${cpu?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, load ${loadavg()[0]?.toFixed(1)}; ` +
      `Node ${process.version}; commit ${commit}; ${new Date().toISOString()}`,
  );
}
