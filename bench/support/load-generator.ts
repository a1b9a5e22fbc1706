// A load generator: a process of its own that sends prebuilt requests over connections that are kept, the next on each as
// soon as the last is answered, and says what it saw. load.ts starts it and talks to it by messages.

import autocannon from "autocannon";
import { percentile } from "./statistics.ts";

export interface LoadRequest {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface LoadOrder {
  readonly url: string;
  /** Sent in turn, on every connection. */
  readonly requests: readonly LoadRequest[];
  /** A text that an answer must contain to count. */
  readonly expected: string;
  readonly connections: number;
  readonly durationMs: number;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Requests without an answer, or without the expected one. */
  readonly failed: number;
  /** Of one core. Near 1 it is the generator that is measured. */
  readonly generatorCpuShare: number;
}

/** How often autocannon looks whether it is over. */
const SAMPLE_MS = 50;

process.on("message", async (order: LoadOrder) => {
  process.send?.(await run(order));
});
process.send?.("ready");

async function run(order: LoadOrder): Promise<LoadResult> {
  const { connections, durationMs, expected } = order;
  const latenciesMs: number[] = [];
  const cpuBefore = process.cpuUsage();
  let startMs = Number.POSITIVE_INFINITY;
  const result = Promise.withResolvers<autocannon.Result>();
  const options: autocannon.Options = {
    url: order.url,
    connections,
    duration: durationMs / 1_000,
    sampleInt: SAMPLE_MS,
    method: "POST",
    requests: order.requests.map(({ body, headers }) => ({
      body,
      headers: { "content-type": "application/json", ...headers },
    })),
    verifyBody: (body) => String(body).includes(expected),
  };
  const load = autocannon(options, (error: unknown, found) => {
    if (error) result.reject(error);
    else result.resolve(found);
  });
  // Its connections and their requests are made by then.
  load.on("start", () => {
    startMs = performance.now();
  });
  load.on("response", (_client, _statusCode, _bytes, responseTimeMs) => {
    // It goes on until it next looks: what comes after the end is not counted.
    if (performance.now() - startMs <= durationMs) latenciesMs.push(responseTimeMs);
  });
  const { errors, mismatches, non2xx } = await result.promise;
  const elapsedMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    perSecond: (latenciesMs.length * 1_000) / durationMs,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
    failed: errors + mismatches + non2xx,
    generatorCpuShare: (user + system) / 1_000 / elapsedMs,
  };
}
