import type { Clock } from "../domain/time.ts";
import { WORKER_SILENT_MS, type WorkerBoard, type WorkerReport } from "../ports/worker-board.ts";

/** The board of a process that runs the API and the workers both. */
export function createInMemoryBoard({ monotonicMs }: Pick<Clock, "monotonicMs">): WorkerBoard {
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
