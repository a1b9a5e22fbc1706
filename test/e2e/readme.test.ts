import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { createTemporaryDirectory } from "../support/directory.ts";
import { startServiceProcess } from "../support/service-process.ts";

/** A console block of the README that is marked `<!-- session -->`. */
interface Session {
  readonly eventually: boolean;
  readonly steps: { command: string; output: string }[];
}

const README = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");
const DOCUMENTED_ADDRESS = "http://127.0.0.1:4000";

test("the README's session gives the README's output", async () => {
  const directory = createTemporaryDirectory();
  onTestFinished(directory.remove);
  const service = await startServiceProcess({ DATA_DIR: directory.path });
  onTestFinished(async () => void (await service.kill("SIGKILL")));

  const sessions = sessionsIn(README);
  expect(sessions.length).toBeGreaterThanOrEqual(3);
  let environment = "";
  for (const { eventually, steps } of sessions) {
    for (const { command, output } of steps) {
      const here = command.replaceAll(DOCUMENTED_ADDRESS, service.url);
      if (output === "") {
        environment += `${here}\n`;
        continue;
      }
      const answer = () => shell(environment + here).then(withoutTimes);
      if (eventually) await expect.poll(answer, { timeout: 60_000 }).toBe(withoutTimes(output));
      else expect(await answer()).toBe(withoutTimes(output));
    }
  }
});

function sessionsIn(markdown: string): Session[] {
  return [...markdown.matchAll(/<!-- session(: eventually)? -->\n```console\n(.*?)```/gs)].map((match) => {
    const steps = (match[2] ?? "")
      .split(/^\$ /m)
      .slice(1)
      .map((step) => {
        // A command goes on over indented lines; what follows at the margin is its output.
        const lines = step.trimEnd().split("\n");
        const end = lines.findIndex((line, index) => index > 0 && !line.startsWith(" "));
        const commandLines = end === -1 ? lines : lines.slice(0, end);
        return { command: commandLines.join("\n"), output: end === -1 ? "" : lines.slice(end).join("\n") };
      });
    return { eventually: match[1] !== undefined, steps };
  });
}

async function shell(script: string): Promise<string> {
  const { stdout } = await promisify(execFile)("bash", ["-euo", "pipefail", "-c", script]);
  return stdout.trimEnd();
}

function withoutTimes(text: string): string {
  return text.replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "<time>");
}
