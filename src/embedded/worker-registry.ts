import type { Clock } from "../domain/time.ts";
import { WORKER_SILENT_MS, type WorkerRegistry, type WorkerReport } from "../ports/worker-registry.ts";

/** The registry of a process that runs both the API and the workers. */
export function createInMemoryWorkerRegistry({ monotonicMs }: Pick<Clock, "monotonicMs">): WorkerRegistry {
  const reports = new Map<string, { readonly status: WorkerReport; readonly atMs: number }>();
  return {
    report(status) {
      reports.set(status.id, { status, atMs: monotonicMs() });
    },
    current() {
      const oldestMs = monotonicMs() - WORKER_SILENT_MS;
      for (const [id, { atMs }] of reports) if (atMs < oldestMs) reports.delete(id);
      return [...reports.values()].map(({ status }) => status);
    },
  };
}
