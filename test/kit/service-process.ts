import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

const ROOT = join(import.meta.dirname, "../..");
const READY_TIMEOUT_MS = 60_000;

/** The variables that every process gets from this one's environment. The test sets the others. */
export const INHERITED_ENVIRONMENT = {
  PATH: process.env.PATH,
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
};

/** `impressions serve`, `api` or `worker` in a process of its own, as a user runs it. */
export interface ServiceProcess {
  readonly url: string;
  readonly pid: number;
  /** The log so far, a JSON object a line. */
  readonly log: readonly string[];
  /** Sends the signal and resolves with how the process ended. */
  kill(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/**
 * Starts the built service on a free port and resolves when it says that it is ready.
 *
 * @param root the checkout whose build it is; this one unless given.
 */
export async function startServiceProcess(
  environment: Readonly<Record<string, string>>,
  role: "serve" | "api" | "worker" = "serve",
  root = ROOT,
): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [join(root, "dist/main.js"), role], {
    env: { ...INHERITED_ENVIRONMENT, PORT: "0", ...environment },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const log: string[] = [];
  const url = await readyUrl(child, log);
  return {
    url,
    pid: child.pid ?? -1,
    log,
    async kill(signal) {
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, "exit");
        child.kill(signal);
        await exited;
      }
      return { code: child.exitCode, signal: child.signalCode };
    },
  };
}

/** How a command ended, and what it said. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. Never rejects. */
export function runCommand(
  environment: Readonly<Record<string, string>>,
  ...parameters: readonly string[]
): Promise<CommandResult> {
  return runCommandOf(ROOT, environment, ...parameters);
}

/** The same of the build in another checkout. */
export async function runCommandOf(
  root: string,
  environment: Readonly<Record<string, string>>,
  ...parameters: readonly string[]
): Promise<CommandResult> {
  const child = spawn(process.execPath, [join(root, "dist/main.js"), ...parameters], {
    env: { ...INHERITED_ENVIRONMENT, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (bytes: Buffer) => (output.stdout += bytes));
  child.stderr.on("data", (bytes: Buffer) => (output.stderr += bytes));
  await once(child, "close");
  return { code: child.exitCode, ...output };
}

function readyUrl(child: ChildProcess, log: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      child.kill("SIGKILL");
      reject(new Error(`${why}; its log:\n${log.join("\n")}`));
    };
    const timer = setTimeout(() => fail("the service was not ready in time"), READY_TIMEOUT_MS);
    child.once("exit", (code) => {
      clearTimeout(timer);
      fail(`the service exited with ${code}`);
    });
    if (child.stderr === null) throw new Error("stderr is piped");
    createInterface({ input: child.stderr }).on("line", (line) => {
      log.push(line);
      if (!line.includes('"msg":"ready"')) return;
      clearTimeout(timer);
      child.removeAllListeners("exit");
      resolve((JSON.parse(line) as { url: string }).url);
    });
  });
}
