import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import type { ServiceProcess } from "../../test/kit/service-process.ts";
import { NODE_OPTIONS_OF_THE_IMAGE } from "./image.ts";
import type { BenchInstallation } from "./installation.ts";

const NICE = 10;

/** Starts an API and a worker, each a process with the image's options, as the deploy files have it. */
export async function startApiAndWorker(
  installation: BenchInstallation,
): Promise<{ readonly api: ServiceProcess; readonly worker: ServiceProcess }> {
  const environment = {
    NODE_ENV: "production",
    QUEUE_MAX_BYTES: "1GiB",
    NODE_OPTIONS: NODE_OPTIONS_OF_THE_IMAGE,
  };
  const worker = await installation.start("worker", environment);
  letAcknowledgementsGoFirst(installation, worker);
  return { api: await installation.start("api", environment), worker };
}

/**
 * Lets the worker and the store have the CPU that the API and the queue leave them, as docs/operations.md advises where
 * they share a machine. Does nothing where this is not Linux.
 */
function letAcknowledgementsGoFirst(
  { cassandra }: Pick<BenchInstallation, "cassandra">,
  worker: { readonly pid: number },
): void {
  for (const { pid } of [worker, ...cassandra.nodes]) {
    if (!existsSync(`/proc/${pid}/task`)) return;
    for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), NICE);
    // Sessions share the CPU evenly, whatever their processes' priorities, where Linux makes groups of them (sched(7)).
    if (groupOf(pid) !== groupOf("self")) writeFileSync(`/proc/${pid}/autogroup`, String(NICE));
  }
}

function groupOf(pid: number | "self"): string | null {
  const file = `/proc/${pid}/autogroup`;
  return existsSync(file) ? readFileSync(file, "utf8") : null;
}
