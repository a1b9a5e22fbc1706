import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createConnection } from "mariadb";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { run } from "./command.ts";

const START_ATTEMPTS_MAX = 150;
const START_RETRY_MS = 200;
const INSTALL_TIMEOUT_MS = 60_000;

/** A MariaDB on a directory of its own, which `root` enters by a socket without a password. */
export interface MariaDbServer {
  readonly socketPath: string;
  readonly version: string;
  stop(): Promise<void>;
}

/**
 * Starts Debian's server.
 *
 * @param options of the server beside where its files are.
 * @returns null where it is not installed.
 */
export async function startMariaDbServer(options: readonly string[] = []): Promise<MariaDbServer | null> {
  const version = await run("mariadbd", ["--version"]).catch(() => null);
  if (version === null) return null;
  const directory = createTemporaryDirectory();
  const socketPath = join(directory.path, "mariadb.sock");
  const where = [
    "--no-defaults",
    `--datadir=${join(directory.path, "data")}`,
    `--user=${userInfo().username}`,
  ];
  await run("mariadb-install-db", [...where, "--auth-root-authentication-method=normal", "--skip-test-db"], {
    timeoutMs: INSTALL_TIMEOUT_MS,
  });
  const server = spawn("mariadbd", [...where, `--socket=${socketPath}`, "--skip-networking", ...options], {
    stdio: "ignore",
  });
  const stop = async () => {
    if (server.exitCode === null && server.signalCode === null) {
      const exited = once(server, "exit");
      server.kill("SIGKILL");
      await exited;
    }
    directory.remove();
  };
  try {
    await answering(server, socketPath);
    return { socketPath, version: version.trim().split(/\s+/)[2] ?? "", stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function answering(server: ChildProcess, socketPath: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const connection = await createConnection({ socketPath, user: "root" });
      return await connection.end();
    } catch (error) {
      if (attempt === START_ATTEMPTS_MAX || server.exitCode !== null) throw error;
      await sleep(START_RETRY_MS);
    }
  }
}
