import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import type { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { openEmbeddedEngine } from "../../src/embedded/open.ts";
import { QUEUE_SCHEMA } from "../../src/embedded/schema.ts";
import { EngineStartError } from "../../src/ports/errors.ts";
import type { ImpressionQueue } from "../../src/ports/impression-queue.ts";
import { scanAll } from "../contract/store/fixture.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "../kit/directory.ts";
import { engineOptions } from "../kit/embedded.ts";
import { viewOf } from "../kit/views.ts";
import type { Line } from "../support/embedded-process.ts";

const WAIT = { timeout: 60_000, interval: 20 };
const PROCESS_FILE = join(import.meta.dirname, "../support/embedded-process.ts");

interface EngineProcess {
  readonly process: ChildProcessByStdio<null, Readable, null>;
  /** Its output so far. */
  readonly lines: readonly Line[];
  kill(): Promise<void>;
}

/** @param limitBlocks how large a file the process may write, in blocks of 512 bytes; null for no limit. */
function startProcess(
  mode: string,
  dataDir: string,
  run: string,
  limitBlocks: number | null = null,
): EngineProcess {
  const limit = limitBlocks === null ? "" : `ulimit -S -f ${limitBlocks}; `;
  const child = spawn(
    "/bin/sh",
    ["-c", `${limit}exec "$0" "$@"`, process.execPath, PROCESS_FILE, mode, dataDir, run],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const lines: Line[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    // The last line may be cut off by the kill: then it was not said.
    if (line.endsWith("}")) lines.push(JSON.parse(line) as Line);
  });
  const closed = once(child, "close");
  const kill = async () => {
    child.kill("SIGKILL");
    await closed;
  };
  onTestFinished(kill);
  return { process: child, lines, kill };
}

function said(started: EngineProcess, what: Line["said"]): Promise<void> {
  return vi.waitFor(() => expect(started.lines.map((line) => line.said)).toContain(what), WAIT);
}

async function publishedBodies(queue: ImpressionQueue): Promise<string[]> {
  const bodies: string[] = [];
  for (;;) {
    const deliveries = await queue.pull({
      maxMessages: 500,
      maxBytes: 1e9,
      waitMs: 0,
      signal: new AbortController().signal,
    });
    if (deliveries.length === 0) return bodies;
    bodies.push(...deliveries.map(({ body }) => Buffer.from(body).toString("utf8")));
    await queue.ack(deliveries);
  }
}

describe("openEmbeddedEngine", () => {
  let directory: TemporaryDirectory;
  let dataDir: string;
  beforeEach(() => {
    directory = createTemporaryDirectory();
    dataDir = join(directory.path, "nested", "data");
  });
  afterEach(() => directory.remove());

  const open = (changed: Partial<Parameters<typeof openEmbeddedEngine>[0]> = {}) =>
    openEmbeddedEngine(engineOptions({ dataDir, ...changed }));

  /** The message of the failure to open: one line, and the lock is not left behind. */
  async function startProblem(changed: Parameters<typeof open>[0] = {}): Promise<string> {
    const error: unknown = await open(changed).then(
      async (engine) => {
        await engine.close();
        return null;
      },
      (problem: unknown) => problem,
    );
    expect(error).toBeInstanceOf(EngineStartError);
    const { message } = error as EngineStartError;
    expect(message).not.toContain("\n");
    return message;
  }

  it("creates directory and files that only their owner can read", async () => {
    const engine = await open();
    await engine.queue.publish({ id: "a", body: "a" });
    await engine.store.writeHistory("u", [viewOf({ userId: "u", postId: "p", viewedAtMs: Date.now() })]);
    const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
    expect(modeOf(dataDir)).toBe("700");
    const files = readdirSync(dataDir);
    expect(files).toContain("queue.sqlite");
    expect(files).toContain("store.sqlite");
    expect(files).toContain("queue.sqlite-wal");
    for (const file of files) expect([file, modeOf(join(dataDir, file))]).toEqual([file, "600"]);
    await engine.close();
  });

  it("leaves one file of each database when it is closed", async () => {
    const engine = await open();
    await engine.queue.publish({ id: "a", body: "a" });
    await Promise.all([engine.close(), engine.close()]);
    expect(readdirSync(dataDir).sort()).toEqual(["lock.sqlite", "queue.sqlite", "store.sqlite"]);
  });

  it("leaves the mode of a directory that exists alone", async () => {
    mkdirSync(dataDir, { recursive: true, mode: 0o750 });
    await (await open()).close();
    expect(statSync(dataDir).mode & 0o777).toBe(0o750);
  });

  it("keeps everything over a restart", async () => {
    const view = viewOf({ userId: "u", postId: "p", viewedAtMs: Date.now(), surface: "HOME" });
    const first = await open();
    await first.queue.publish({ id: "a", body: "the message" });
    await first.store.writeHistory("u", [view]);
    await first.close();
    const second = await open();
    expect(await publishedBodies(second.queue)).toEqual(["the message"]);
    expect(await scanAll(second.store)).toEqual([view]);
    await second.close();
  });

  it.each(["queue.sqlite", "store.sqlite"])(
    "keeps its identity over a restart, until %s is made anew",
    async (file) => {
      const identity = async () => {
        const engine = await open();
        const told = await engine.queue.identity();
        await engine.close();
        return told;
      };
      const first = await identity();
      expect(first).not.toBe("");
      expect(await identity()).toBe(first);
      rmSync(join(dataDir, file));
      expect(await identity()).not.toBe(first);
    },
  );

  it("gives files of the first format an identity", async () => {
    mkdirSync(dataDir, { recursive: true });
    const database = new DatabaseSync(join(dataDir, "queue.sqlite"));
    database.exec(`${QUEUE_SCHEMA.steps[0]}; PRAGMA user_version = 1`);
    database.close();
    const engine = await open();
    expect(await engine.queue.identity()).toMatch(/^[0-9a-f]{32}-[0-9a-f]{32}$/);
    await engine.close();
  });

  describe("the lock", () => {
    it("refuses a second engine in the same process, again and again, until the first is closed", async () => {
      const first = await open();
      for (let attempt = 0; attempt < 3; attempt++)
        expect(await startProblem()).toContain(`process ${process.pid}`);
      await first.queue.publish({ id: "a", body: "a" });
      await first.close();
      await (await open()).close();
    });

    it("refuses another process, names the one that has it, and ends with it, however that ends", async () => {
      const holder = startProcess("hold", dataDir, "holder");
      await said(holder, "open");
      const message = await startProblem();
      expect(message).toContain(`process ${holder.process.pid}`);
      expect(message).toContain("DATA_DIR");
      await holder.kill();
      await (await open()).close();
    });

    it("is not lost to an attempt to open the directory from the process that has it", async () => {
      const first = await open();
      await startProblem();
      const intruder = startProcess("hold", dataDir, "intruder");
      const [code] = (await once(intruder.process, "close")) as [number | null];
      expect(code).toBe(1);
      expect(intruder.lines).toEqual([{ said: "failed", error: "EngineStartError", healthy: false }]);
      await first.close();
    });
  });

  describe("a start that cannot work says what to do", () => {
    it("where the path is a file, or lies under one", async () => {
      writeFileSync(join(directory.path, "file"), "");
      expect(await startProblem({ dataDir: join(directory.path, "file") })).toContain("set DATA_DIR");
      expect(await startProblem({ dataDir: join(directory.path, "file", "data") })).toContain("set DATA_DIR");
    });

    it.runIf(process.getuid?.() !== 0)(
      "where the directory may not be written (root may always)",
      async () => {
        mkdirSync(dataDir, { recursive: true, mode: 0o500 });
        expect(await startProblem()).toContain("set DATA_DIR");
      },
    );

    it.each(["queue.sqlite", "store.sqlite"])("where %s was written by a newer version", async (file) => {
      await (await open()).close();
      const database = new DatabaseSync(join(dataDir, file));
      const version = Number(database.prepare("PRAGMA user_version").get()?.user_version);
      database.exec("PRAGMA user_version = 999");
      database.close();
      const message = await startProblem();
      expect(message).toContain(file);
      expect(message).toContain("newer version");
      expect(message).toContain("999");
      // The failed start gave the directory free, and changed nothing.
      const again = new DatabaseSync(join(dataDir, file));
      again.exec(`PRAGMA user_version = ${version}`);
      again.close();
      await (await open()).close();
    });

    it.each(["queue.sqlite", "store.sqlite"])("where %s is damaged", async (file) => {
      mkdirSync(dataDir, { recursive: true });
      writeFileSync(join(dataDir, file), Buffer.alloc(16_384, 7));
      const message = await startProblem();
      expect(message).toContain(file);
      expect(message).toContain("damaged");
      expect(message).toContain("backup");
    });

    it("where a file is another program's database", async () => {
      mkdirSync(dataDir, { recursive: true });
      const database = new DatabaseSync(join(dataDir, "store.sqlite"));
      database.exec("CREATE TABLE recipes (name TEXT)");
      database.close();
      expect(await startProblem()).toContain("another program");
    });

    it.each([
      ["queue.sqlite", "ALTER TABLE dead_letters RENAME COLUMN failed_at TO failed"],
      ["store.sqlite", "DROP INDEX views_by_user"],
    ])("and leaves no thread on a file that is not as expected (%s)", async (file, change) => {
      await (await open()).close();
      const database = new DatabaseSync(join(dataDir, file));
      // The store's is needed by reads alone, so that only their connection notices.
      database.exec(change);
      database.close();
      await startProblem();
      // An open database consists of several files.
      expect(readdirSync(dataDir).sort()).toEqual(["lock.sqlite", "queue.sqlite", "store.sqlite"]);
    });

    it("where another program holds the file", async () => {
      await (await open()).close();
      const other = new DatabaseSync(join(dataDir, "queue.sqlite"));
      other.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
      expect(await startProblem()).toContain("in use by another program");
      other.close();
      await (await open()).close();
    });
  });

  describe("a process that dies", () => {
    it("loses nothing that it acknowledged, over kill after kill", async () => {
      const published = new Set<string>();
      const stored = new Set<string>();
      for (let run = 0; run < 5; run++) {
        const started = startProcess("write", dataDir, `run${run}`);
        await vi.waitFor(() => expect(started.lines.length).toBeGreaterThan(100 + 150 * run), WAIT);
        await started.kill();
        for (const line of started.lines) {
          if (line.said === "published") published.add(line.body);
          if (line.said === "stored") for (const identity of line.identities) stored.add(identity);
        }
      }
      const engine = await open();
      const bodies = await publishedBodies(engine.queue);
      const views = await scanAll(engine.store, 500);
      await engine.close();
      expect(published.size).toBeGreaterThan(100);
      expect(new Set(bodies).size).toBe(bodies.length);
      expect([...published].filter((body) => !bodies.includes(body))).toEqual([]);
      const identities = new Set(views.map((view) => `${view.userId} ${view.postId} ${view.viewedAtMs}`));
      expect([...stored].filter((identity) => !identities.has(identity))).toEqual([]);
    });
  });

  describe("a disk that takes no more", () => {
    const MEGABYTES_8 = 8 * 2 * 1_024;
    const prlimit = existsSync("/usr/bin/prlimit");

    // A limit on the size of a file fails a write the way a full disk does, and prlimit (Linux) lifts it again.
    it.runIf(prlimit)("is an error that passes, never a crash", async () => {
      const started = startProcess("fill", dataDir, "fill", MEGABYTES_8);
      await said(started, "failed");
      expect(started.lines).toContainEqual({
        said: "failed",
        error: "QueueUnavailableError",
        healthy: false,
      });
      execFileSync("prlimit", [`--pid=${started.process.pid}`, "--fsize=unlimited"]);
      await said(started, "recovered");
      await started.kill();
      const engine = await open();
      expect((await engine.queue.stats()).pending).toBeGreaterThan(10);
      await engine.close();
    });
  });
});
