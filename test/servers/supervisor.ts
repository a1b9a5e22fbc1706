// Runs one server and outlives its own parent just long enough to clean up after it.
//
// A test runner that is killed with SIGKILL cannot stop what it started, and a JVM left behind holds a
// gigabyte and its ports. So every server is the child of this small process, which has a pipe (Node's IPC
// channel) to the process that wanted the server: when that one ends, however it ends, the kernel closes the
// pipe, and this kills the server, removes its data and leaves. In the other direction it tells what becomes
// of the server.
//
// Run as `node supervisor.ts SPEC`, SPEC being a SupervisorSpec as JSON, with an IPC channel.

import { spawn, spawnSync } from "node:child_process";
import { rmSync } from "node:fs";

/** The command to run, and the clean-up if the parent process is gone. */
export interface SupervisorSpec {
  command: string;
  args: string[];
  /**
   * Run when the parent is gone and the command killed: removes the container that the command started, say.
   */
  onOrphan?: string[];
  /** Removed when the parent is gone: temporary data. Parents that live remove it themselves. */
  removeOnOrphan: string[];
}

/** The reports of the supervisor. `signalled` answers a request to send a signal, after it was sent. */
export type SupervisorReport =
  | { kind: "started"; pid: number }
  | { kind: "failed"; message: string }
  | { kind: "signalled" }
  | { kind: "exited"; code: number | null; signal: NodeJS.Signals | null };

/**
 * Asks the supervisor to send a signal to the server. It goes this way because only the parent of a process
 * knows for sure that a pid is still that process's.
 */
export interface SupervisorRequest {
  signal: NodeJS.Signals;
}

function report(message: SupervisorReport, then?: () => void): void {
  if (process.connected && process.send) process.send(message, () => then?.());
  else then?.();
}

function supervise(spec: SupervisorSpec): void {
  // A terminal's Ctrl-C or hang-up is for the parent, which then stops the servers in its own time.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

  const server = spawn(spec.command, spec.args, { stdio: ["ignore", "inherit", "inherit"] });
  let orphaned = false;

  server.once("spawn", () => report({ kind: "started", pid: server.pid ?? -1 }));
  server.once("error", (error) => report({ kind: "failed", message: error.message }, () => process.exit(1)));
  server.once("exit", (code, signal) => {
    if (orphaned) cleanUp(spec);
    report({ kind: "exited", code, signal }, () => process.exit(0));
  });
  process.on("message", ({ signal }: SupervisorRequest) => {
    server.kill(signal);
    report({ kind: "signalled" });
  });
  process.once("disconnect", () => {
    orphaned = true;
    // No graceful end: the data is temporary, and both servers are made to survive this on data that is not.
    if (server.kill("SIGKILL")) return;
    cleanUp(spec);
    process.exit(0);
  });
}

function cleanUp(spec: SupervisorSpec): void {
  const [command, ...args] = spec.onOrphan ?? [];
  if (command !== undefined) spawnSync(command, args, { stdio: "inherit" });
  for (const directory of spec.removeOnOrphan) {
    // Nodes of one cluster share a directory, and each one's supervisor removes it: the last to end removes
    // it for good.
    rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
}

supervise(JSON.parse(process.argv[2] ?? "") as SupervisorSpec);
