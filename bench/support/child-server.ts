import { fork } from "node:child_process";
import { once } from "node:events";

/** A server in a process of its own, as the bench's baselines are. */
export interface ChildServer {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts a file that sends its URL by message once it listens. */
export async function startChildServer(
  file: string,
  environment: Readonly<Record<string, string>>,
): Promise<ChildServer> {
  const child = fork(file, {
    env: { PATH: process.env.PATH, NODE_ENV: "production", ...environment },
    stdio: "inherit",
  });
  const started = await Promise.race([once(child, "message"), once(child, "exit")]);
  const [url] = started as [unknown];
  if (typeof url !== "string") throw new Error(`${file} ended with ${String(url)}`);
  return {
    url,
    pid: child.pid ?? -1,
    async stop() {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}
