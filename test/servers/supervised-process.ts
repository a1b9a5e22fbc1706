import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { frozen } from "./frozen.ts";
import type { SupervisorReport, SupervisorRequest, SupervisorSpec } from "./supervisor.ts";

const SUPERVISOR = fileURLToPath(new URL("supervisor.ts", import.meta.url));

/** How to run a server: a command of this machine, or `docker run` of an image. */
export interface Launch {
  command: string;
  args: string[];
  /** Sends a signal where the command is not the server itself; else it is sent to the command. */
  sendSignal?: (signal: NodeJS.Signals) => Promise<void>;
  /** Cleans up after a command whose server lives on when the command is killed. */
  onOrphan?: string[];
}

/** A running command that does not outlive this process. */
export interface SupervisedProcess {
  /** Of the command: the server's own pid, or under Docker that of the `docker run` it hangs on. */
  readonly pid: number;
  /** Aborted, with the reason, once the command has ended. */
  readonly ended: AbortSignal;
  /** Resolves once the command has ended. Never rejects. */
  exited(): Promise<void>;
  /** Resolves when the signal has been sent, or the command had already ended. */
  signal(signal: NodeJS.Signals): Promise<void>;
  /** Sends SIGSTOP and resolves once no thread of the command runs; see ServerNode.pause for where it can't tell. */
  freeze(): Promise<void>;
}

/**
 * Starts a command under a supervisor, its output appended to `logFile`. Should this process end without
 * stopping it, the supervisor kills it and removes `removeOnOrphan`. A server does not keep this process
 * alive: a script that forgets to stop it ends all the same, and the server with it.
 */
export async function startSupervised(
  launch: Launch,
  logFile: string,
  removeOnOrphan: string[],
): Promise<SupervisedProcess> {
  const { command, args, onOrphan } = launch;
  const spec: SupervisorSpec = { command, args, removeOnOrphan, ...(onOrphan && { onOrphan }) };
  const supervisor = spawnSupervisor(spec, logFile);

  const end = new AbortController();
  let signalled: (() => void)[] = [];
  const exited = new Promise<void>((resolve) => {
    end.signal.addEventListener("abort", () => {
      for (const done of signalled) done();
      resolve();
    });
  });
  const started = new Promise<number>((resolve, reject) => {
    const fail = (error: Error): void => {
      end.abort(error);
      reject(error);
    };
    supervisor.on("message", (report: SupervisorReport) => {
      if (report.kind === "started") resolve(report.pid);
      else if (report.kind === "signalled") signalled.shift()?.();
      else if (report.kind === "failed") fail(new Error(`${command}: ${report.message}`));
      else end.abort(new Error(`${command} ended (${report.signal ?? `exit code ${report.code}`})`));
    });
    supervisor.once("error", fail);
    supervisor.once("exit", () => fail(new Error(`the supervisor of ${command} ended`)));
  });
  const pid = await awake(started);
  // Only if the supervisor was killed itself: its pipe is gone, so nothing else would stop the server.
  supervisor.once("exit", () => {
    if (supervisor.signalCode !== null) killIfAlive(pid);
  });

  const send = (signal: NodeJS.Signals): Promise<void> =>
    new Promise((resolve) => {
      signalled.push(resolve);
      supervisor.send({ signal } satisfies SupervisorRequest, (error) => {
        if (error === null) return;
        // The channel is closed: the server has ended, and with it the supervisor.
        signalled = signalled.filter((done) => done !== resolve);
        resolve();
      });
    });

  const signal = async (name: NodeJS.Signals): Promise<void> => {
    if (!end.signal.aborted) await awake((launch.sendSignal ?? send)(name));
  };

  return {
    pid,
    ended: end.signal,
    signal,
    freeze: async () => {
      await signal("SIGSTOP");
      // Through an engine the signal goes to a process of which `pid` says nothing.
      if (launch.sendSignal === undefined && !end.signal.aborted) await frozen(pid);
    },
    exited: () => awake(exited),
  };
}

/** Waits for a supervisor, which by itself does not keep this process alive. */
async function awake<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 60_000);
  try {
    return await promise;
  } finally {
    clearInterval(timer);
  }
}

function spawnSupervisor(spec: SupervisorSpec, logFile: string): ChildProcess {
  const log = openSync(logFile, "a");
  try {
    const supervisor = spawn(process.execPath, [SUPERVISOR, JSON.stringify(spec)], {
      // A process group of its own: a terminal's Ctrl-C reaches this process, not the servers.
      detached: true,
      stdio: ["ignore", log, log, "ipc"],
      // A test runner's own Node options (loaders, inspectors) are not for a supervisor.
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    supervisor.unref();
    supervisor.channel?.unref();
    return supervisor;
  } finally {
    closeSync(log);
  }
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It had ended too.
  }
}
