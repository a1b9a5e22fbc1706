import { execFile } from "node:child_process";

const SAID_MAX_CHARS = 2000;

/** How to run a command to its end. */
export interface CommandOptions {
  cwd?: string;
  /** Beside this process's own environment. */
  env?: Record<string, string>;
  timeoutMs?: number;
}

/**
 * Runs a command to its end and returns what it wrote, standard output first. Rejects with an error that has
 * the command and the end of its output in its message, or says that the command is not installed.
 */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { cwd, env, timeoutMs = 30_000 } = options;
  return new Promise((resolve, reject) => {
    execFile(
      command,
      args,
      { cwd, env: { ...process.env, ...env }, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout + stderr);
        const said = (stderr || stdout || error.message).trim().slice(-SAID_MAX_CHARS);
        const why =
          error.code === "ENOENT"
            ? `\`${command}\` is not installed (not on PATH)`
            : `\`${[command, ...args].join(" ")}\` failed: ${said}`;
        reject(new Error(why, { cause: error }));
      },
    );
  });
}
