import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { LoadOrder, LoadResult } from "./load-generator.ts";

export type { LoadRequest } from "./load-generator.ts";

export interface LoadGenerator {
  /** @throws Error where requests failed: what failed is not a speed. */
  run(order: LoadOrder): Promise<LoadResult>;
  stop(): void;
}

export async function startLoadGenerator(): Promise<LoadGenerator> {
  const child = fork(join(import.meta.dirname, "load-generator.ts"), { stdio: "inherit" });
  await once(child, "message");
  return {
    async run(order) {
      child.send(order);
      const [result] = (await once(child, "message")) as [LoadResult];
      if (result.failed > 0) throw new Error(`${result.failed} requests to ${order.url} failed`);
      return result;
    },
    stop: () => child.disconnect(),
  };
}
