import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { createTemporaryDirectory } from "../kit/directory.ts";

const MAIN = join(import.meta.dirname, "../../dist/main.js");

/** Runs `impressions config` as a process, in an empty directory but for an `.env`. */
function config(options: {
  readonly environment?: Readonly<Record<string, string>>;
  readonly dotenv?: string;
  /** A module that runs first. */
  readonly preload?: string;
}): { status: number | null; stdout: string; stderr: string } {
  const { environment = {}, dotenv, preload } = options;
  const directory = createTemporaryDirectory();
  try {
    if (dotenv !== undefined) writeFileSync(join(directory.path, ".env"), dotenv);
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [...(preload === undefined ? [] : ["--import", `data:text/javascript,${preload}`]), MAIN, "config"],
      { cwd: directory.path, env: environment, encoding: "utf8" },
    );
    return { status, stdout, stderr };
  } finally {
    directory.remove();
  }
}

test("an older Node is told apart before anything of it is missing", () => {
  const [major = 0] = /\d+/.exec(packageJson.engines.node)?.map(Number) ?? [];
  const pretend = (version: string) =>
    config({ preload: `Object.defineProperty(process,'versions',{value:{node:'${version}'}})` });
  const { status, stdout, stderr } = pretend(`${major - 1}.99.0`);
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(
    new RegExp(`^impressions: this is Node ${major - 1}.99.0, and ${major} or newer is needed.*\n$`),
  );
  expect(pretend(`${major}.0.0`)).toMatchObject({ status: 0, stderr: "" });
});

test("a file .env is read, and what the environment says comes first", () => {
  const { stdout } = config({ dotenv: "PORT=4100\nWORKERS=7\n", environment: { WORKERS: "3" } });
  expect(stdout).toMatch(/^PORT=4100$/m);
  expect(stdout).toMatch(/^WORKERS=3$/m);
  // In production as well: it is the environment that decides what is production.
  expect(config({ dotenv: "PORT=4100", environment: { NODE_ENV: "production" } }).stdout).toContain(
    "PORT=4100",
  );
});

test("a secret that .env cannot hold as it is written there stops the start", () => {
  const { status, stderr } = config({ dotenv: "METRICS_TOKEN=twelve characters#and more\n" });
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr:
      "impressions: configuration: METRICS_TOKEN in .env is read as another text than is written there: " +
      "put it between ' and '\n",
  });
});

test("libraries run in their production mode, unless something else is asked for", () => {
  const shown = (environment: Readonly<Record<string, string>>) =>
    config({
      environment,
      preload: "process.on('exit',()=>console.error(process.env.NODE_ENV))",
    }).stderr.trim();
  expect(shown({})).toBe("production");
  expect(shown({ NODE_ENV: "development" })).toBe("development");
});

test("a start that waits for a server ends when it is told to", async () => {
  const child = spawn(process.execPath, [MAIN, "serve"], {
    // No process listens there.
    env: { ENGINE: "cluster", NATS_SERVERS: "127.0.0.1:1", PORT: "0" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  for await (const line of createInterface({ input: child.stderr })) {
    if (line.includes("waiting for a NATS server")) break;
  }
  child.stderr.resume();
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
});
