import { randomUUID } from "node:crypto";
import { run } from "./command.ts";
import type { Launch } from "./supervised-process.ts";
import { messageOf } from "./wait.ts";

// An image may have to be pulled over a slow line.
const PULL_TIMEOUT_MS = 15 * 60 * 1000;

/** Makes sure that a Docker engine answers and has the image. Rejects with the engine's own words if not. */
export async function requireImage(image: string): Promise<void> {
  await run("docker", ["info", "--format", "{{.ServerVersion}}"]);
  await run("docker", ["image", "inspect", "--format", "{{.Id}}", image]).catch(() =>
    run("docker", ["pull", "--quiet", image], { timeoutMs: PULL_TIMEOUT_MS }),
  );
}

/** The command to run, and its image. */
export interface ContainerSpec {
  image: string;
  entrypoint: string;
  args: string[];
  /** Directories of this machine, found under the same path in the container. */
  mounts: string[];
}

/**
 * Runs a server from an image exactly as the toolchain would run it: the same configuration files, on the
 * host's own network (so 127.0.0.1 to 127.0.0.3 and the ports are this machine's; Docker Desktop has to have
 * host networking switched on), as this user (so its files can be removed). Signals go through the engine:
 * killing `docker run` itself would leave the container behind.
 */
export function containerLaunch({ image, entrypoint, args, mounts }: ContainerSpec): Launch {
  const name = `impressions-${randomUUID()}`;
  const user = process.getuid && process.getgid ? ["--user", `${process.getuid()}:${process.getgid()}`] : [];
  return {
    command: "docker",
    args: [
      ...["run", "--rm", "--name", name, "--network", "host", ...user],
      ...mounts.flatMap((directory) => ["--volume", `${directory}:${directory}`]),
      ...["--entrypoint", entrypoint, image, ...args],
    ],
    sendSignal: async (signal) => {
      await run("docker", ["kill", "--signal", signal, name]).catch((error: unknown) => {
        if (!/No such container|is not running/.test(messageOf(error))) throw error;
      });
    },
    onOrphan: ["docker", "rm", "--force", name],
  };
}
