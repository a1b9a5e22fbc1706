/**
 * Where workers tell how they are doing and the `pipeline` query reads it: in memory in one process, over the queue's
 * server between processes.
 */
export interface WorkerRegistry {
  /** Called every WORKER_REPORT_INTERVAL_MS by each worker loop. Never throws. */
  report(status: WorkerReport): void;
  /** The newest report of every worker that was heard of within WORKER_SILENT_MS. */
  current(): readonly WorkerReport[];
}

export const WORKER_REPORT_INTERVAL_MS = 5_000;
export const WORKER_SILENT_MS = 15_000;

export interface WorkerReport {
  readonly id: string;
  /** IDLE: nothing to do. WORKING: has messages in flight. PAUSED: waits for the store. STOPPING: drains. */
  readonly state: "IDLE" | "WORKING" | "PAUSED" | "STOPPING";
  /** Since the worker started. */
  readonly impressionsStored: number;
  /** Store writes that may run at once now. */
  readonly concurrency: number;
  /** False while the worker takes the store for down and pulls nothing. */
  readonly storeHealthy: boolean;
}
