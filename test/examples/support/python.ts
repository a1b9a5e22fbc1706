import { createHash, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../../servers/command.ts";
import { cacheDirectory } from "../../servers/directories.ts";
import { messageOf } from "../../servers/wait.ts";

// A dozen small packages on a slow and busy machine.
const PREPARE_TIMEOUT_MS = 5 * 60_000;

/**
 * A virtual environment with exactly the packages of that file, outside the checkout, made once.
 *
 * @returns the folder of its programs. @throws with what is missing on this machine, and where to get it.
 */
export async function pythonEnvironment(requirements: string): Promise<string> {
  const digest = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 16);
  const path = join(cacheDirectory(), `python-${digest}`);
  // A link to an interpreter that is gone does not count.
  if (existsSync(join(path, "bin/python"))) return join(path, "bin");
  const building = join(cacheDirectory(), "building", `python-${randomUUID()}`);
  mkdirSync(dirname(building), { recursive: true });
  try {
    await run("python3", ["-m", "venv", building], { timeoutMs: PREPARE_TIMEOUT_MS });
    const install = ["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"];
    await run(join(building, "bin/python"), [...install, "--requirement", requirements], {
      timeoutMs: PREPARE_TIMEOUT_MS,
    });
    rmSync(path, { recursive: true, force: true });
    renameSync(building, path);
  } catch (error) {
    throw new Error(
      `${requirements} needs python3 (3.10 or newer) with venv and pip (Debian: python3-venv), and once a package index: ${messageOf(error)}`,
      { cause: error },
    );
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
  return join(path, "bin");
}
