import type { Clock } from "../domain/time.ts";
import { WORKER_SILENT_MS, type WorkerRegistry, type WorkerReport } from "../ports/worker-registry.ts";
import type { Connection } from "./connection.ts";
import type { JetStreamNames } from "./names.ts";

/** A report is a few hundred bytes; whatever else is published there is not read. */
const REPORT_BYTES_MAX = 4_096;
/** Every client of NATS may publish reports: so many workers are remembered, those that reported last. */
const WORKERS_HEARD_MAX = 4_096;
const STATES: readonly WorkerReport["state"][] = ["IDLE", "WORKING", "PAUSED", "STOPPING"];

/** The registry of many processes: each reports to all others over core NATS, and keeps the reports that it received. */
export function createJetStreamWorkerRegistry(
  connection: Connection,
  { statusPrefix }: JetStreamNames,
  { monotonicMs }: Pick<Clock, "monotonicMs">,
): WorkerRegistry {
  const heard = new Map<string, { readonly report: WorkerReport; readonly atMs: number }>();

  function remember(report: WorkerReport): void {
    // Inserted anew, so that the first is the one that was silent the longest.
    heard.delete(report.id);
    heard.set(report.id, { report, atMs: monotonicMs() });
    if (heard.size <= WORKERS_HEARD_MAX) return;
    const [silent] = heard.keys();
    if (silent !== undefined) heard.delete(silent);
  }

  function forgetSilent(): void {
    const oldestMs = monotonicMs() - WORKER_SILENT_MS;
    for (const [id, { atMs }] of heard) if (atMs < oldestMs) heard.delete(id);
  }

  connection.nats.subscribe(`${statusPrefix}.>`, {
    callback(error, message) {
      const report = error === null ? readReport(message.data) : null;
      if (report === null) return;
      forgetSilent();
      remember(report);
    },
  });

  return {
    report(status) {
      remember(status);
      if (connection.outage() !== null) return;
      connection.nats.publish(`${statusPrefix}.${tokenOf(status.id)}`, JSON.stringify(status));
    },
    current() {
      forgetSilent();
      return [...heard.values()].map(({ report }) => report);
    },
  };
}

/** Host names may hold dots, which only add tokens; anything else that a subject cannot hold goes. */
function tokenOf(id: string): string {
  return id.replaceAll(/[^0-9A-Za-z_.-]|^\.|\.$|\.(?=\.)/g, "_");
}

/** The report in a message; null where it is none: every client of NATS may publish there. */
function readReport(data: Uint8Array): WorkerReport | null {
  if (data.byteLength > REPORT_BYTES_MAX) return null;
  let report: Partial<Record<keyof WorkerReport, unknown>> | null;
  try {
    report = JSON.parse(Buffer.from(data).toString("utf8")) as typeof report;
  } catch {
    return null;
  }
  if (report === null || typeof report !== "object") return null;
  const { id, state, impressionsStored, concurrency, storeHealthy } = report;
  const known = STATES.find((name) => name === state);
  if (typeof id !== "string" || known === undefined || typeof storeHealthy !== "boolean") return null;
  if (!Number.isSafeInteger(impressionsStored) || !Number.isSafeInteger(concurrency)) return null;
  return {
    id,
    state: known,
    impressionsStored: impressionsStored as number,
    concurrency: concurrency as number,
    storeHealthy,
  };
}
