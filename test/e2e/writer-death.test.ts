import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { INHERITED_ENVIRONMENT } from "../kit/service-process.ts";

const MAIN = join(import.meta.dirname, "../../dist/main.js");
const KILL_WRITER = join(import.meta.dirname, "../support/kill-writer.mjs");

test("a writer's thread that dies of a bug ends the process with one line and exit code 1", async () => {
  const directory = createTemporaryDirectory();
  onTestFinished(directory.remove);
  const child = spawn(process.execPath, ["--import", KILL_WRITER, MAIN, "serve"], {
    env: { ...INHERITED_ENVIRONMENT, PORT: "0", DATA_DIR: directory.path },
    stdio: ["ignore", "ignore", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const log: { level: number; msg: string; reason?: string }[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    log.push(JSON.parse(line));
    if (line.includes('"msg":"ready"')) child.kill("SIGUSR2");
  });
  const [code] = (await once(child, "close")) as [number | null];
  expect(code).toBe(1);
  const fatal = log.filter(({ level }) => level >= 50);
  expect(fatal).toMatchObject([
    {
      level: 60,
      msg: expect.stringContaining("start it again"),
      reason: expect.stringContaining("thread died"),
    },
  ]);
});
