import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createTemporaryDirectory } from "../../test/kit/directory.ts";
import type { EventLoopDelay } from "../support/event-loop-probe.ts";
import { IMPRESSIONS_PER_MUTATION } from "../support/mutations.ts";
import { fillQueue, IMPRESSIONS_PER_MESSAGE } from "./backlog.ts";
import { openEmbeddedBench } from "./installations.ts";

const PROBE = new URL("../support/event-loop-probe.ts", import.meta.url).href;
const POLL_MS = 50;
/** Measured is what lies between: before it the process has just started, after it little is left to do at once. */
const FROM_SHARE_LEFT = 0.85;
const TO_SHARE_LEFT = 0.05;

export interface EmbeddedRound {
  readonly perSecond: number;
  readonly eventLoop: EventLoopDelay;
}

/** A queue that filled while nothing ran, and the service that starts on it and works it off. */
export async function measureEmbeddedDrain(
  mutations: number,
  environment: Readonly<Record<string, string>>,
): Promise<EmbeddedRound> {
  const directory = createTemporaryDirectory();
  const eventLoopFile = join(directory.path, "event-loop.json");
  const bench = await openEmbeddedBench(join(directory.path, "data"));
  try {
    const backlog = { traffic: "uniform", first: 0, count: mutations, endMs: Date.now() } as const;
    await bench.whileStopped((queue) => fillQueue(queue, backlog, IMPRESSIONS_PER_MESSAGE));
    const service = await bench.startWorker({
      ...environment,
      BENCH_EVENT_LOOP_FILE: eventLoopFile,
      NODE_OPTIONS: `${environment.NODE_OPTIONS ?? ""} --import=${PROBE}`,
    });
    const perMessage = IMPRESSIONS_PER_MESSAGE / IMPRESSIONS_PER_MUTATION;
    const messages = Math.ceil(mutations / perMessage);
    let from: { readonly ms: number; readonly pending: number } | undefined;
    for (;;) {
      const { pending } = await bench.progress();
      const now = { ms: performance.now(), pending };
      if (from === undefined && pending <= messages * FROM_SHARE_LEFT) {
        from = now;
        process.kill(service.pid, "SIGUSR2");
      }
      if (from !== undefined && pending <= messages * TO_SHARE_LEFT) {
        const drained = (from.pending - pending) * IMPRESSIONS_PER_MESSAGE;
        const perSecond = (drained * 1_000) / (now.ms - from.ms);
        await service.kill("SIGTERM");
        return { perSecond, eventLoop: JSON.parse(readFileSync(eventLoopFile, "utf8")) as EventLoopDelay };
      }
      await sleep(POLL_MS);
    }
  } finally {
    await bench.dispose();
    directory.remove();
  }
}
