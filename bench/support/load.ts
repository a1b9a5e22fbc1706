import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { LoadOrder, LoadResult } from "./load-generator.ts";
import type { LoadSecond, OpenLoadOrder } from "./open-load.ts";

export type { LoadRequest } from "./load-generator.ts";
export type { LoadSecond } from "./open-load.ts";

/** Connections that send the next request when the last is answered. */
export interface LoadGenerator {
  /** @throws Error where requests failed: what failed is not a speed. */
  run(order: LoadOrder): Promise<LoadResult>;
  stop(): void;
}

/** Requests that leave by the clock. */
export interface OpenLoad {
  /** The outcomes of the requests of each second, failed ones included. */
  run(order: OpenLoadOrder): Promise<readonly LoadSecond[]>;
  stop(): void;
}

export async function startLoadGenerator(): Promise<LoadGenerator> {
  const generator = await startProcess<LoadOrder, LoadResult>("load-generator.ts");
  return {
    async run(order) {
      const result = await generator.run(order);
      if (result.failed > 0) throw new Error(`${result.failed} requests to ${order.url} failed`);
      return result;
    },
    stop: generator.stop,
  };
}

export function startOpenLoad(): Promise<OpenLoad> {
  return startProcess("open-load.ts");
}

interface LoadProcess<Order, Result> {
  run(order: Order): Promise<Result>;
  stop(): void;
}

async function startProcess<Order extends object, Result>(file: string): Promise<LoadProcess<Order, Result>> {
  const child = fork(join(import.meta.dirname, file), { stdio: "inherit", serialization: "advanced" });
  await once(child, "message");
  const ended = once(child, "exit").then(([code]): never => {
    throw new Error(`${file} ended with ${code}`);
  });
  // After `stop` it ends by itself, without a wait.
  ended.catch(() => undefined);
  return {
    async run(order) {
      child.send(order);
      const [result] = (await Promise.race([once(child, "message"), ended])) as [Result];
      return result;
    },
    stop: () => child.disconnect(),
  };
}
