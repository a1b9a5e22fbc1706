import { execFile } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { run } from "../../servers/command.ts";
import { messageOf } from "../../servers/wait.ts";
import { pythonEnvironment } from "./python.ts";

const EXAMPLES = join(import.meta.dirname, "../../../examples");
// Go's standard library compiled for the first time, on a slow and busy machine.
const PREPARE_TIMEOUT_MS = 5 * 60_000;
const RUN_TIMEOUT_MS = 100_000;

/** A program of `examples/`: all of them take the same arguments and print the same lines. */
export interface ExampleProgram {
  /** Its folder in `examples/`. */
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** Installs what the program needs, once; resolves with folders for the front of its PATH. */
  prepare(cwd: string): Promise<readonly string[]>;
}

export const EXAMPLE_PROGRAMS: readonly ExampleProgram[] = [
  {
    name: "python",
    command: ["python", "recommender.py"],
    prepare: async (cwd) => [await pythonEnvironment(join(cwd, "requirements.txt"))],
  },
  {
    name: "python-typed",
    command: ["python", "recommender.py"],
    async prepare(cwd) {
      const programs = await pythonEnvironment(join(cwd, "requirements.txt"));
      // Its own program names the folder in which the environment was made.
      await run(join(programs, "python"), ["-m", "ariadne_codegen"], {
        cwd,
        env: { PATH: [programs, process.env.PATH].join(delimiter) },
        timeoutMs: PREPARE_TIMEOUT_MS,
      });
      return [programs];
    },
  },
  {
    name: "typescript",
    command: ["node", "recommender.ts"],
    prepare: async () => [dirname(process.execPath)],
  },
  { name: "go", command: ["go", "run", "."], prepare: compiledGo },
  { name: "curl", command: ["./recommender.sh"], prepare: curlAndJq },
];

/** A program of `examples/` that is ready to run. */
export interface InstalledExample {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Runs it against the service at `url`; the lines it printed. Rejects with what it said if it fails. */
  ask(url: string, userIds: readonly string[], candidates: readonly string[]): Promise<string[]>;
}

/** @throws with what is missing on this machine, and where to get it. */
export async function installExample({ name, command, prepare }: ExampleProgram): Promise<InstalledExample> {
  const cwd = join(EXAMPLES, name);
  const env = { PATH: [...(await prepare(cwd)), process.env.PATH].join(delimiter) };
  const [program, ...parameters] = command;
  return {
    cwd,
    env,
    async ask(url, userIds, candidates) {
      const { stdout } = await promisify(execFile)(program, [...parameters, userIds.join(), ...candidates], {
        cwd,
        env: { ...process.env, ...env, IMPRESSIONS_URL: url },
        timeout: RUN_TIMEOUT_MS,
      });
      return stdout.trimEnd().split("\n");
    },
  };
}

/** The packages that the program imports, compiled: `go run` then has its own file left. */
async function compiledGo(cwd: string): Promise<readonly string[]> {
  try {
    await run("go", ["vet", "."], { cwd, timeoutMs: PREPARE_TIMEOUT_MS });
  } catch (error) {
    throw new Error(`The Go example needs Go 1.23 or newer (Debian: golang): ${messageOf(error)}`, {
      cause: error,
    });
  }
  return [];
}

async function curlAndJq(): Promise<readonly string[]> {
  for (const program of ["curl", "jq"]) {
    await run(program, ["--version"]).catch((error: unknown) => {
      throw new Error(`The curl example needs curl 7.76 and jq 1.6, or newer: ${messageOf(error)}`, {
        cause: error,
      });
    });
  }
  return [];
}
