import { join } from "node:path";
import { logDirectory, logTail } from "./directories.ts";
import { type Launch, type SupervisedProcess, startSupervised } from "./supervised-process.ts";
import { messageOf, waitUntil } from "./wait.ts";

// Measured start-ups take 1 to 10 s; a machine that is ten times slower still starts.
const START_DEADLINE_MS = 180_000;
const TERMINATE_DEADLINE_MS = 30_000;
const FATAL: readonly NodeJS.Signals[] = ["SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT", "SIGABRT"];

/** One node of a server, to be broken and mended by a test. */
export interface ServerNode {
  readonly host: string;
  /** Where clients connect. The same after a restart. */
  readonly port: number;
  /** Of the running process, or the last one if it is dead; under Docker that of its `docker run`. */
  readonly pid: number;
  readonly logFile: string;
  /** Sends a signal, SIGKILL unless told; one that ends the node also waits until it has ended. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /**
   * Stops the node if it runs, starts it on the data it had, and resolves once it serves clients again. A
   * NATS node of a cluster serves only with a majority: nodes of which two are down have to be restarted at
   * the same time.
   */
  restart(): Promise<void>;
  /**
   * Freezes the process (SIGSTOP): it keeps its connections and, once this resolves, answers nothing (under
   * Docker or without a /proc it may answer for a moment yet).
   */
  pause(): Promise<void>;
  /** Ends a pause (SIGCONT). */
  resume(): Promise<void>;
}

/** The parts of a node. */
export interface ServerNodeSpec {
  name: string;
  host: string;
  port: number;
  launch: () => Launch;
  /** Resolves if the node serves a client's request now, else throws. Asked again and again. */
  probe: () => Promise<void>;
  /** Removed if this process is killed. */
  removeOnOrphan: string[];
}

/**
 * A node as the cluster it belongs to sees it: `start` launches the process and does not wait for its
 * service.
 */
export interface ManagedNode extends ServerNode {
  start(): Promise<void>;
  /**
   * Resolves once `probe` does. Rejects, with the end of the log, if the process dies or the deadline passes.
   */
  ready(probe?: () => Promise<void>): Promise<void>;
  isRunning(): boolean;
}

/** A node that is not started yet. */
export function createNode(spec: ServerNodeSpec): ManagedNode {
  const logFile = join(logDirectory(), `${spec.name}-${spec.port}.log`);
  let current: SupervisedProcess | undefined;

  const isRunning = (): boolean => current !== undefined && !current.ended.aborted;

  const kill = async (signal: NodeJS.Signals = "SIGKILL"): Promise<void> => {
    if (current === undefined) return;
    await current.signal(signal);
    if (FATAL.includes(signal)) await current.exited();
  };

  const start = async (): Promise<void> => {
    current = await startSupervised(spec.launch(), logFile, spec.removeOnOrphan);
  };

  const ready = async (probe = spec.probe): Promise<void> => {
    const ended = current?.ended;
    try {
      await waitUntil({
        what: `${spec.name} at ${spec.host}:${spec.port} serves clients`,
        probe,
        deadlineMs: START_DEADLINE_MS,
        ...(ended && { signal: ended }),
      });
    } catch (error) {
      throw new Error(
        `${spec.name} did not start: ${messageOf(error)}\nend of ${logFile}:\n${logTail(logFile)}`,
        { cause: error },
      );
    }
  };

  return {
    host: spec.host,
    port: spec.port,
    logFile,
    get pid() {
      if (current === undefined) throw new Error(`${spec.name} has not been started`);
      return current.pid;
    },
    kill,
    pause: async () => current?.freeze(),
    resume: () => kill("SIGCONT"),
    restart: async () => {
      if (isRunning()) await stopNode({ kill, isRunning });
      await start();
      await ready();
    },
    start,
    ready,
    isRunning,
  };
}

/** Ends a node in good order, or by force where it does not end (it may be paused, or hang). */
export async function stopNode(node: Pick<ManagedNode, "kill" | "isRunning">): Promise<void> {
  if (!node.isRunning()) return;
  const forced = setTimeout(() => void node.kill("SIGKILL"), TERMINATE_DEADLINE_MS);
  await node.kill("SIGCONT");
  await node.kill("SIGTERM");
  clearTimeout(forced);
}
