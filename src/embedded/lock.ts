import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { EngineInUseError, EngineStartError } from "../ports/errors.ts";
import { messageOf } from "./database.ts";

/** Only the user of the service may look inside. A directory that exists keeps the mode it has. */
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

export interface DirectoryLock {
  release(): void;
}

/**
 * Creates the data directory where there is none and takes it for this process, or throws.
 *
 * The lock is an exclusive transaction on an empty SQLite file. The operating system drops it with the process,
 * however that ends, so that no stale lock ever has to be removed by hand; and SQLite keeps account of its files
 * within a process, so that a second engine in the same process is refused as well. The process id stands in a file
 * of its own beside it: opening the locked file once more and closing it would drop a POSIX lock.
 *
 * @throws EngineInUseError another process has the directory. @throws EngineStartError it cannot be used.
 */
export function lockDirectory(dataDir: string): DirectoryLock {
  const file = join(dataDir, "lock.sqlite");
  const holderFile = join(dataDir, "lock.pid");
  try {
    mkdirSync(dataDir, { recursive: true, mode: DIRECTORY_MODE });
    closeSync(openSync(holderFile, "a", FILE_MODE));
  } catch (error) {
    throw unusable(dataDir, error);
  }
  let lock: DatabaseSync;
  try {
    createOnce(file);
    lock = new DatabaseSync(file, { timeout: 0 });
  } catch (error) {
    throw unusable(dataDir, error);
  }
  try {
    lock.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    writeFileSync(holderFile, `${process.pid}\n`);
  } catch (error) {
    lock.close();
    throw new EngineInUseError(
      `${dataDir} is in use by ${holderOf(holderFile)}: stop that process first, or set DATA_DIR to another directory ` +
        `(${messageOf(error)})`,
      { cause: error },
    );
  }
  return {
    release() {
      rmSync(holderFile, { force: true });
      lock.close();
    },
  };
}

/** Creates the file, and does not so much as open one that exists: it may be locked by this process. */
function createOnce(file: string): void {
  try {
    closeSync(openSync(file, "wx", FILE_MODE));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

function unusable(dataDir: string, error: unknown): EngineStartError {
  return new EngineStartError(
    `cannot use ${dataDir}: set DATA_DIR to a directory that this user may write (${messageOf(error)})`,
    { cause: error },
  );
}

function holderOf(holderFile: string): string {
  try {
    const pid = readFileSync(holderFile, "utf8").trim();
    return pid === "" ? "another process" : `process ${pid}`;
  } catch {
    return "another process";
  }
}
