import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import type { BenchInstallation } from "./installation.ts";

const NICE = 10;

/**
 * Lets the worker and the store have the CPU that the API and the queue leave them, as docs/operations.md advises where
 * they share a machine. Does nothing where this is not Linux.
 */
export function letAcknowledgementsGoFirst(
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
