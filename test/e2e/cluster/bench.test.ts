import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { createTemporaryDirectory } from "../../kit/directory.ts";

/** The bench runs, from its servers to its files. What it measures in so short a time says nothing, and is not looked at. */

const ROOT = join(import.meta.dirname, "../../..");

test("one short round of ingest and of start-up tells of every goal", async () => {
  const out = createTemporaryDirectory();
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["bench/main.ts", "--smoke", "--only", "1,7", "--out", out.path],
      { cwd: ROOT },
    );
    for (const name of ["ingest", "startup"]) {
      const { goals } = JSON.parse(readFileSync(join(out.path, `${name}.json`), "utf8")) as {
        goals: { what: string; figure: number | null }[];
      };
      expect(goals.length).toBeGreaterThan(0);
      for (const { what, figure } of goals) {
        expect(stdout).toContain(what);
        // On a busy machine a round may be over before anything was answered in it.
        if (figure !== null) expect(figure, what).toBeGreaterThan(0);
      }
    }
    expect(readFileSync(join(out.path, "ingest.svg"), "utf8")).toContain("this service");
  } finally {
    out.remove();
  }
});
