import { collectDefaultMetrics, Gauge, Registry } from "prom-client";

/**
 * What a process measures of itself, in a registry of its own. Everything that happens often is only counted; what can be
 * asked for is asked when Prometheus does.
 *
 * No label takes a value that a caller chose: docs/operations.md has the list, held by test/e2e/metrics.test.ts.
 */
export interface Metrics {
  /** For the parts that this process has: `createApiMetrics` and its neighbours. */
  readonly registers: Registry[];
  /** Everything as Prometheus reads it. */
  exposition(): Promise<Exposition>;
}

export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

export function createMetrics(process: {
  readonly version: string;
  readonly role: string;
  readonly engine: string;
}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: "impressions_build_info",
    help: "1, with the version, role and engine of this process.",
    labelNames: ["version", "role", "engine"],
    registers,
  }).set({ ...process }, 1);
  return {
    registers,
    exposition: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}
