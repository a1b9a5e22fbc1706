import { Counter, Histogram, type Registry } from "prom-client";
import type { OnStatement } from "../ports/impression-store.ts";

/** The store's statements, as its adapter reports them. */
export interface StoreMetrics {
  readonly onStatement: OnStatement;
}

export function createStoreMetrics(registers: Registry[]): StoreMetrics {
  const durations = new Histogram({
    name: "impressions_store_statement_duration_seconds",
    help: "Statements of the store by name: what the database took, failed ones included.",
    labelNames: ["statement"],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  const failures = new Counter({
    name: "impressions_store_statement_failures_total",
    help: "Statements of the store that failed, by name.",
    labelNames: ["statement"],
    registers,
  });
  return {
    onStatement(statement, durationMs, failed) {
      durations.observe({ statement }, durationMs / 1_000);
      if (failed) failures.inc({ statement });
    },
  };
}
