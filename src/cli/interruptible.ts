import type { Clock } from "../domain/time.ts";
import { QueueUnavailableError, StoreUnavailableError } from "../ports/errors.ts";
import { TransferError } from "../transfer/errors.ts";
import { CommandError } from "./failure.ts";
import { SAME_WISH_MS } from "./shutdown-signals.ts";
import { terminalText } from "./terminal-text.ts";

/** What commands that take long end with; a failure is 1, as for every command. */
export const EXIT = {
  done: 0,
  /** Everything that can be done is; some of it cannot: lines of an import, letters of a replay. */
  withRejects: 2,
  /** What shells give for Ctrl-C. */
  interrupted: 130,
} as const;

/**
 * Runs a command that Ctrl-C (or SIGTERM) stops in an orderly way and a second one, a second later, at once; sets the
 * exit code.
 *
 * @param body gets a signal that aborts when the command shall stop; gives the exit code.
 * @throws CommandError for what a person can mend.
 */
export async function runInterruptible(
  clock: Clock,
  body: (signal: AbortSignal) => Promise<number>,
): Promise<void> {
  const controller = new AbortController();
  let stoppingSinceMs: number | null = null;
  const stop = (signal: NodeJS.Signals) => {
    if (stoppingSinceMs === null) {
      stoppingSinceMs = clock.monotonicMs();
      controller.abort();
    } else if (clock.monotonicMs() - stoppingSinceMs > SAME_WISH_MS) {
      // Without a handler the signal ends the process, as it does for every other program.
      leaveSignals();
      process.kill(process.pid, signal);
    }
  };
  const leaveSignals = () => process.off("SIGINT", stop).off("SIGTERM", stop);
  process.on("SIGINT", stop).on("SIGTERM", stop);
  try {
    process.exitCode = await body(controller.signal);
  } catch (error) {
    throw toCommandError(error);
  } finally {
    leaveSignals();
  }
}

/** Says one line on stderr; stdout is for data. It may quote what was imported. */
export function say(text: string): void {
  process.stderr.write(`${terminalText(text)}\n`);
}

function toCommandError(error: unknown): unknown {
  if (error instanceof TransferError) return new CommandError(error.message, { cause: error });
  if (error instanceof QueueUnavailableError || error instanceof StoreUnavailableError) {
    return new CommandError(`the engine does not answer: ${error.message}`, { cause: error });
  }
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  const isSystemError = error instanceof Error && code !== undefined && syscall !== undefined;
  if (isSystemError) return new CommandError(systemFailure(error.message, code, path), { cause: error });
  return error;
}

function systemFailure(message: string, code: string, path: string | undefined): string {
  if (code === "EPIPE") return "the output pipe was closed";
  if (path === undefined) return message;
  if (code === "ENOENT") return `${path} does not exist`;
  if (code === "EACCES" || code === "EPERM") return `${path}: no permission`;
  if (code === "EROFS") return `${path} lies on a disk that cannot be written`;
  if (code === "EISDIR") return `${path} is a folder`;
  return message;
}
