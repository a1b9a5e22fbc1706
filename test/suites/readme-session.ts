import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";

/** A console block of a README that is marked `<!-- session -->`, or `<!-- session: KIND -->`. */
export interface ReadmeSession {
  /** `eventually`: the output comes in a moment. `cluster`: only on the cluster engine. */
  readonly kind: string;
  readonly steps: readonly { readonly command: string; readonly output: string }[];
}

const ROOT = join(import.meta.dirname, "../..");
const DOCUMENTED_ADDRESS = "http://127.0.0.1:4000";

/** The sessions of a page of this project, by default of its front page. */
export function readmeSessions(page = "README.md"): ReadmeSession[] {
  return [
    ...readFileSync(join(ROOT, page), "utf8").matchAll(
      /<!-- session(?:: (\w+))? -->\n```console\n(.*?)```/gs,
    ),
  ].map((match) => {
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
    return { kind: match[1] ?? "", steps };
  });
}

/** The shell that a session is typed into. */
export interface Shell {
  readonly cwd?: string;
  /** Beside this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Types the sessions into a shell against the service at `url`; every output must be the README's, times apart. */
export async function replaySessions(
  sessions: readonly ReadmeSession[],
  url: string,
  { cwd = ROOT, env = {} }: Shell = {},
): Promise<void> {
  let environment = "";
  for (const { kind, steps } of sessions) {
    for (const { command, output } of steps) {
      const here = command.replaceAll(DOCUMENTED_ADDRESS, url);
      if (output === "") {
        environment += `${here}\n`;
        continue;
      }
      const answer = () => run(environment + here, { cwd, env }).then(withoutTimes);
      if (kind === "eventually") await expect.poll(answer, { timeout: 60_000 }).toBe(withoutTimes(output));
      else expect(await answer()).toBe(withoutTimes(output));
    }
  }
}

async function run(script: string, { cwd, env }: Shell): Promise<string> {
  const { stdout } = await promisify(execFile)("bash", ["-euo", "pipefail", "-c", script], {
    cwd,
    env: { ...process.env, ...env },
  });
  return stdout.trimEnd();
}

function withoutTimes(text: string): string {
  return text.replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "<time>");
}
