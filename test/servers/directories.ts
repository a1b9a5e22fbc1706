import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

const LOGS_KEPT_MS = 24 * 60 * 60 * 1000;
const LOG_TAIL_LINES = 40;

/**
 * Where built servers and logs stay, outside any checkout, so that a fresh clone does not build them again.
 * `IMPRESSIONS_TEST_CACHE` moves it.
 */
export function cacheDirectory(): string {
  const directory =
    process.env.IMPRESSIONS_TEST_CACHE ?? join(homedir(), ".cache", "impressions-test-servers");
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** A new directory for data that is not needed after its server has stopped. */
export function temporaryDirectory(name: string): string {
  return mkdtempSync(join(tmpdir(), `impressions-${name}-`));
}

let logs: string | undefined;

/**
 * This process's directory for the servers' logs. Logs outlive their servers, or a failure could not be
 * looked into; those a day old are removed by the next run.
 */
export function logDirectory(): string {
  if (logs === undefined) {
    const all = join(cacheDirectory(), "logs");
    mkdirSync(all, { recursive: true });
    removeOlderThan(all, LOGS_KEPT_MS);
    logs = mkdtempSync(join(all, `${new Date().toISOString().replaceAll(":", "-")}-`));
  }
  return logs;
}

/** The last lines of a log, for the error of a server that did not start. */
export function logTail(file: string): string {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-LOG_TAIL_LINES).join("\n");
  } catch {
    return "(no log)";
  }
}

/**
 * Removes what has lain in `directory` for longer than `ageMs`. Others may be removing the same: missing is
 * fine.
 */
export function removeOlderThan(directory: string, ageMs: number): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const modified = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (modified !== undefined && Date.now() - modified > ageMs)
      rmSync(path, { recursive: true, force: true });
  }
}
