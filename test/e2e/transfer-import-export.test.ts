import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { joinSubmissions } from "../../src/domain/queue-message.ts";
import { DAY_MS } from "../../src/domain/time.ts";
import { openEmbeddedEngine } from "../../src/embedded/open.ts";
import { engineOptions } from "../kit/embedded.ts";
import { INHERITED_ENVIRONMENT } from "../kit/service-process.ts";

const MAIN = join(import.meta.dirname, "../../dist/main.js");

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly ended: Promise<Ended>;
  /** Its stderr so far. */
  stderr(): string;
  hasEnded(): boolean;
  kill(signal: NodeJS.Signals): void;
}

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "impressions-transfer-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** `impressions` with these arguments in a process of its own, as a user runs it. */
function start(dataDir: string, args: readonly string[], stdin = ""): Running {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...INHERITED_ENVIRONMENT, DATA_DIR: dataDir },
  });
  const out = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    out.stderr += text;
  });
  // A command that ends before it has read everything breaks the pipe.
  child.stdin.on("error", () => undefined).end(stdin);
  onTestFinished(() => void child.kill("SIGKILL"));
  return {
    ended: once(child, "close").then(([code]) => ({ ...out, code: code as number | null })),
    stderr: () => out.stderr,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    kill: (signal) => void child.kill(signal),
  };
}

const run = (dataDir: string, args: readonly string[], stdin?: string) => start(dataDir, args, stdin).ended;

/** All that is stored, as sorted lines. */
async function stored(dataDir: string): Promise<string[]> {
  const { code, stdout, stderr } = await run(dataDir, ["export", "-"]);
  if (code !== 0) throw new Error(`export ended with ${code}: ${stderr}`);
  return linesOf(stdout);
}

/** An engine on this directory, in this process. */
async function openEmbedded(dataDir: string) {
  const engine = await openEmbeddedEngine(engineOptions({ dataDir }));
  onTestFinished(engine.close);
  return engine;
}

const linesOf = (text: string) =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .sort();

/** The fields of a line except `receivedAt`. */
function withoutReceivedAt(line: string): unknown {
  const { receivedAt: _, ...rest } = JSON.parse(line) as Record<string, unknown>;
  return rest;
}

/** Different views within the retention, as `export` writes them, their users and posts mixed. */
function exportedLines(count: number): string[] {
  const nowMs = Date.now();
  const users = Array.from({ length: 200 }, (_, n) =>
    n % 10 === 0 ? `Ünï "${n}" \u{1f600}\ue000` : `user-${n}`,
  );
  return Array.from({ length: count }, (_, index) => {
    // The index keeps identities apart; the day keeps them within the retention.
    const viewedAtMs = nowMs - DAY_MS - index;
    const receivedAt = new Date(viewedAtMs + (index % 60_000))
      .toISOString()
      .replace("Z", `${100 + (index % 900)}Z`);
    return JSON.stringify({
      userId: users[(index * 7_919) % users.length],
      postId: `post-${(index * 104_729) % 500}`,
      viewedAt: new Date(viewedAtMs).toISOString(),
      surface: index % 2 === 0 ? null : "HOME",
      position: index % 3 === 0 ? null : index % 100,
      dwellMs: index % 5 === 0 ? null : index % 10_000,
      receivedAt,
    });
  });
}

const bareLine = (fields: object) =>
  JSON.stringify({
    userId: "u",
    postId: "p",
    viewedAt: new Date(Date.now() - DAY_MS).toISOString(),
    ...fields,
  });

async function fileOf(lines: readonly string[], name = "dump.ndjson"): Promise<string> {
  const path = join(await temporaryDirectory(), name);
  await writeFile(path, `${lines.join("\n")}\n`);
  return path;
}

describe("imported views", () => {
  test("is what an export gives, to the microsecond; importing it again changes nothing", async () => {
    const dataDir = await temporaryDirectory();
    const lines = exportedLines(20_000);
    const file = await fileOf(lines);
    expect(await run(dataDir, ["import", file])).toMatchObject({ code: 0 });
    expect(await stored(dataDir)).toEqual([...lines].sort());
    expect(await run(dataDir, ["import", file])).toMatchObject({ code: 0 });
    expect(await stored(dataDir)).toEqual([...lines].sort());
    // Nothing is left beside the file.
    expect(await readdir(join(file, ".."))).toEqual(["dump.ndjson"]);
  });

  test("goes from one engine into another through a compressed file", async () => {
    const [first, second] = [await temporaryDirectory(), await temporaryDirectory()];
    const lines = exportedLines(3_000);
    const compressed = join(await temporaryDirectory(), "views.ndjson.gz");
    await run(first, ["import", "-"], lines.join("\n"));
    expect(await run(first, ["export", compressed])).toMatchObject({ code: 0 });
    expect(linesOf(gunzipSync(await readFile(compressed)).toString())).toEqual([...lines].sort());
    expect(await run(second, ["import", compressed])).toMatchObject({ code: 0 });
    expect(await stored(second)).toEqual([...lines].sort());
  });

  test("a dump without receivedAt: stamped now, the last of equal views stays, again changes only receivedAt", async () => {
    const dataDir = await temporaryDirectory();
    const viewedAt = Date.now() - DAY_MS;
    const file = await fileOf([
      bareLine({ viewedAt, surface: "FIRST" }),
      bareLine({ viewedAt, surface: "SECOND" }),
      bareLine({ userId: "u2", viewedAt, position: 1 }),
      bareLine({ postId: "ancient", viewedAt: "2000-01-01T00:00:00Z" }),
      bareLine({ viewedAt, surface: "LAST" }),
    ]);
    const before = Date.now();
    const first = await run(dataDir, ["import", file]);
    expect(first).toMatchObject({ code: 0, stderr: expect.stringContaining("too old   1") });
    const once = await stored(dataDir);
    const rest = { postId: "p", viewedAt: new Date(viewedAt).toISOString(), dwellMs: null };
    expect(once.map(withoutReceivedAt)).toEqual([
      { userId: "u", ...rest, surface: "LAST", position: null },
      { userId: "u2", ...rest, surface: null, position: 1 },
    ]);
    for (const line of once) {
      const { receivedAt } = JSON.parse(line) as { receivedAt: string };
      expect(Date.parse(receivedAt)).toBeGreaterThanOrEqual(before);
    }
    await run(dataDir, ["import", file]);
    const twice = await stored(dataDir);
    expect(twice).not.toEqual(once);
    expect(twice.map(withoutReceivedAt)).toEqual(once.map(withoutReceivedAt));
  });
});

describe("lines that cannot be imported", () => {
  const bad = ["{not json", bareLine({ dwelMs: 1 }), bareLine({ userId: "" })];

  test("go to the rejects file with number and reason, and cost the others nothing", async () => {
    const dataDir = await temporaryDirectory();
    const good = exportedLines(1_500);
    const file = await fileOf([...good.slice(0, 700), ...bad, ...good.slice(700)]);
    const { code, stderr } = await run(dataDir, ["import", file]);
    expect(code).toBe(2);
    expect(stderr).toContain("rejected  3");
    expect(await stored(dataDir)).toEqual([...good].sort());
    const rejects = (await readFile(`${file}.rejects.ndjson`, "utf8")).trimEnd().split("\n");
    expect(rejects.map((line) => JSON.parse(line) as unknown)).toEqual([
      { line: 701, reason: "UNREADABLE_LINE", detail: expect.any(String), text: bad[0] },
      { line: 702, reason: "UNKNOWN_FIELD", detail: expect.stringContaining("dwelMs"), text: bad[1] },
      { line: 703, reason: "INVALID_USER_ID", detail: expect.any(String), text: bad[2] },
    ]);
  });

  test("are shown where the input is a stream", async () => {
    const dataDir = await temporaryDirectory();
    const { code, stderr } = await run(dataDir, ["import", "-"], [bareLine({}), ...bad].join("\r\n"));
    expect(code).toBe(2);
    expect(stderr).toContain("accepted  1");
    expect(stderr).toContain('line 3: UNKNOWN_FIELD: unknown field "dwelMs"');
  });

  test("--strict stops there; once the file is mended it is imported whole", async () => {
    const dataDir = await temporaryDirectory();
    const lines = exportedLines(100);
    const file = await fileOf([...lines.slice(0, 50), "oops", ...lines.slice(50)]);
    const { code, stderr } = await run(dataDir, ["import", "--strict", file]);
    expect(code).toBe(2);
    expect(stderr).toContain("line 51: UNREADABLE_LINE");
    expect(await stored(dataDir)).toEqual(lines.slice(0, 50).sort());
    await writeFile(file, `${lines.join("\n")}\n`);
    const mended = await run(dataDir, ["import", "--strict", file]);
    expect(mended).toMatchObject({ code: 0, stderr: expect.stringContaining("the file has changed since") });
    expect(await stored(dataDir)).toEqual([...lines].sort());
  });

  test("never cost a file that is something else, dry run or not", async () => {
    const dataDir = await temporaryDirectory();
    const file = await fileOf([bareLine({}), ...bad]);
    const diary = join(file, "..", "diary.txt");
    await writeFile(diary, "dear diary");
    for (const flags of [["--dry-run"], []]) {
      const { code, stderr } = await run(dataDir, ["import", ...flags, file, "--rejects", diary]);
      expect([code, stderr]).toEqual([1, expect.stringContaining("diary.txt exists and is no rejects file")]);
    }
    expect(await readFile(diary, "utf8")).toBe("dear diary");
    expect((await readdir(join(file, ".."))).sort()).toEqual(["diary.txt", "dump.ndjson"]);
  });

  test("do nothing to the terminal that shows them", async () => {
    const lines = ["\u001b[2J\u009b31m{", '{"\u009b31m\u202e":1}', `{"userId":1,"\u001b]0;title\u0007":1}`];
    for (const flags of [["--dry-run"], ["--strict"], []]) {
      const { stderr } = await run(await temporaryDirectory(), ["import", ...flags, "-"], lines.join("\n"));
      expect(stderr).toContain("line 1: UNREADABLE_LINE");
      expect(stderr.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    }
  });

  test("--dry-run counts them and touches nothing", async () => {
    const dataDir = await temporaryDirectory();
    const file = await fileOf([bareLine({}), ...bad]);
    const { code, stderr } = await run(dataDir, ["import", "--dry-run", file]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/valid {5}1\n {2}rejected {2}3/);
    expect(await readdir(dataDir)).toEqual([]);
    expect(await readdir(join(file, ".."))).toEqual(["dump.ndjson"]);
  });

  test("that have lost the characters of their ids are counted and shown, and taken when told so", async () => {
    const dataDir = await temporaryDirectory();
    const file = await fileOf([bareLine({}), bareLine({ userId: "??" }), bareLine({ postId: "?" })]);
    const dry = await run(dataDir, ["import", "--dry-run", file]);
    expect(dry.code).toBe(2);
    expect(dry.stderr).toMatch(
      /LOST_CHARACTERS {7}2\n {2}line 2: LOST_CHARACTERS: userId "\?\?" seems to have lost/,
    );
    expect((await run(dataDir, ["import", file])).code).toBe(2);
    expect(await stored(dataDir)).toHaveLength(1);
    expect((await run(dataDir, ["import", "--allow-lost-characters", file])).code).toBe(0);
    expect(await stored(dataDir)).toHaveLength(3);
  });
});

describe("an import that is interrupted", () => {
  /** An import notes its progress every 20,000 lines, or once a second: so many leave room behind two notes. */
  const LINES = 60_000;
  /** Room behind one note. */
  const LINES_FOR_ONE = 30_000;

  /** The line up to which the import has noted that everything is durable; 0 where it has not noted anything. */
  async function notedLine(checkpoint: string): Promise<number> {
    const text = await readFile(checkpoint, "utf8").catch(() => null);
    return text === null ? 0 : (JSON.parse(text) as { progress: { line: number } }).progress.line;
  }

  /** Resolves once the import has noted progress behind line `after`, and fails where it came to its end. */
  async function untilNoted(checkpoint: string, running: Running, after = 0): Promise<void> {
    const noted = async () => (running.hasEnded() ? "has ended" : (await notedLine(checkpoint)) > after);
    await expect.poll(noted, { timeout: 60_000, interval: 20 }).not.toBe(false);
    expect(running.hasEnded(), running.stderr()).toBe(false);
  }

  test.each(["dump.ndjson", "dump.ndjson.gz"])(
    "by kill -9, twice, goes on where it was and loses nothing (%s)",
    async (name) => {
      const dataDir = await temporaryDirectory();
      const lines = exportedLines(LINES);
      const withBad = lines.flatMap((line, index) => (index % 5_000 === 0 ? [line, "bad"] : [line]));
      const file = await fileOf(withBad, name);
      if (name.endsWith(".gz")) await writeFile(file, gzipSync(await readFile(file)));
      const checkpoint = `${file}.import-checkpoint.json`;

      for (let kills = 0, noted = 0; kills < 2; kills++) {
        // A small backlog keeps the import as slow as the workers, so that there is a middle to be killed in.
        const running = start(dataDir, ["import", file, "--backlog", "20"]);
        await untilNoted(checkpoint, running, noted);
        running.kill("SIGKILL");
        expect((await running.ended).code).toBeNull();
        noted = await notedLine(checkpoint);
        expect(noted).toBeLessThan(withBad.length);
      }

      const second = await run(dataDir, ["import", file]);
      expect(second.stderr).toContain("going on behind line");
      expect(second.code).toBe(2);
      expect(second.stderr).toContain(`accepted  ${LINES.toLocaleString("en-US")}`);
      expect(await stored(dataDir)).toEqual([...lines].sort());
      const rejects = (await readFile(`${file}.rejects.ndjson`, "utf8")).trimEnd().split("\n");
      expect(rejects).toHaveLength(LINES / 5_000);
      await expect(stat(checkpoint)).rejects.toThrow("ENOENT");
    },
  );

  test("by Ctrl-C ends in good order and goes on; --restart does not", async () => {
    const dataDir = await temporaryDirectory();
    const lines = exportedLines(LINES_FOR_ONE);
    const file = await fileOf(lines);
    const running = start(dataDir, ["import", file, "--backlog", "2"]);
    await untilNoted(`${file}.import-checkpoint.json`, running);
    running.kill("SIGINT");
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stderr).toContain("run the same command again to go on from there");
    const again = await run(dataDir, ["import", file, "--restart"]);
    expect(again).toMatchObject({ code: 0, stderr: expect.stringContaining("starting at the first line") });
    expect(await stored(dataDir)).toEqual([...lines].sort());
  });

  test("by one Ctrl-C that arrives twice, as under npm, ends in good order all the same", async () => {
    const dataDir = await temporaryDirectory();
    const file = await fileOf(exportedLines(LINES_FOR_ONE));
    const running = start(dataDir, ["import", file, "--backlog", "2"]);
    await untilNoted(`${file}.import-checkpoint.json`, running);
    running.kill("SIGINT");
    running.kill("SIGTERM");
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([130, expect.stringContaining("interrupted behind line")]);
    expect((await stat(`${file}.import-checkpoint.json`)).mode & 0o777).toBe(0o600);
  });

  test("starts over where the data was removed meanwhile and has grown again", async () => {
    const dataDir = await temporaryDirectory();
    const lines = exportedLines(LINES_FOR_ONE);
    const file = await fileOf(lines);
    const running = start(dataDir, ["import", file, "--backlog", "2"]);
    await untilNoted(`${file}.import-checkpoint.json`, running);
    running.kill("SIGKILL");
    await running.ended;
    const noted = JSON.parse(await readFile(`${file}.import-checkpoint.json`, "utf8")) as {
      queueSequence: number;
    };
    await rm(dataDir, { recursive: true });
    const { queue, close } = await openEmbedded(dataDir);
    while ((await queue.newestSequence()) <= noted.queueSequence) {
      await queue.publish({ id: crypto.randomUUID(), body: joinSubmissions([]) });
    }
    await close();
    const again = await run(dataDir, ["import", file]);
    expect(again).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("the engine's data is not what it was going into"),
    });
    expect(await stored(dataDir)).toEqual([...lines].sort());
  });

  test("starts over where going on would leave something out", async () => {
    const [first, second] = [await temporaryDirectory(), await temporaryDirectory()];
    const lines = exportedLines(LINES_FOR_ONE);
    const file = await fileOf(lines);
    const running = start(first, ["import", file, "--backlog", "2"]);
    await untilNoted(`${file}.import-checkpoint.json`, running);
    running.kill("SIGKILL");
    await running.ended;
    const elsewhere = await run(second, ["import", file]);
    expect(elsewhere).toMatchObject({ code: 0, stderr: expect.stringContaining("another engine") });
    expect(await stored(second)).toEqual([...lines].sort());
  });
});

describe("says in one line", () => {
  async function failure(args: readonly string[], dataDir?: string): Promise<string> {
    const { code, stderr } = await run(dataDir ?? (await temporaryDirectory()), args);
    expect(code).toBe(1);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    return stderr;
  }

  test("that the file is not there, is something else, or is named twice", async () => {
    expect(await failure(["import", "nowhere.ndjson"])).toContain("nowhere.ndjson does not exist");
    const csv = await fileOf(
      Array.from({ length: 2_000 }, (_, n) => `u${n},p${n},2026-11-22`),
      "dump.csv",
    );
    expect(await failure(["import", csv])).toContain("newline-delimited JSON");
    expect(await failure(["import", csv, "--rejects", csv])).toContain("must be different files");
  });

  test("that a compressed file is cut short", async () => {
    const whole = gzipSync(exportedLines(5_000).join("\n"));
    const file = join(await temporaryDirectory(), "dump.gz");
    await writeFile(file, whole.subarray(0, whole.length / 2));
    expect(await failure(["import", file])).toContain("cut short or damaged");
  });

  test("that a checkpoint is none, and leaves it alone", async () => {
    const file = await fileOf([bareLine({})]);
    const diary = join(file, "..", "diary.txt");
    await appendFile(diary, "dear diary");
    expect(await failure(["import", file, "--checkpoint", diary])).toContain("is not a checkpoint");
    expect(await failure(["import", file, "--checkpoint", diary, "--restart"])).toContain(
      "is not a checkpoint",
    );
    expect(await readFile(diary, "utf8")).toBe("dear diary");
  });

  test("that the export would replace a file; --overwrite does", async () => {
    const dataDir = await temporaryDirectory();
    const file = await fileOf(["precious"]);
    expect(await failure(["export", file], dataDir)).toContain("--overwrite");
    expect(await readFile(file, "utf8")).toBe("precious\n");
    expect(await run(dataDir, ["export", file, "--overwrite"])).toMatchObject({ code: 0 });
    expect(await readFile(file, "utf8")).toBe("");
  });

  test("that an erasure is not finished: the export would hold what is to be forgotten", async () => {
    const dataDir = await temporaryDirectory();
    const { store, close } = await openEmbedded(dataDir);
    const erasure = { id: "e", userId: "u", requestedAtUs: 1, rowsDeleted: 0, finishedAtMs: null };
    await store.saveErasure({ ...erasure, status: "DELETING" });
    await close();
    const file = join(await temporaryDirectory(), "views.ndjson");
    expect(await failure(["export", file], dataDir)).toContain("the erasure of a user is not finished");
    await expect(stat(file)).rejects.toThrow("ENOENT");
    const again = await openEmbedded(dataDir);
    await again.store.saveErasure({ ...erasure, status: "DONE", finishedAtMs: 1 });
    await again.close();
    expect(await run(dataDir, ["export", file])).toMatchObject({ code: 0 });
  });

  test("that a running service holds the data", async () => {
    const dataDir = await temporaryDirectory();
    const file = await fileOf(exportedLines(60_000));
    const holder = start(dataDir, ["import", file, "--backlog", "2"]);
    // Its first checkpoint is written once the engine is open.
    const isOpen = () =>
      stat(`${file}.import-checkpoint.json`).then(
        () => true,
        () => false,
      );
    await expect.poll(isOpen, { timeout: 60_000, interval: 20 }).toBe(true);
    expect(await failure(["export", "-"], dataDir)).toContain(dataDir);
    holder.kill("SIGKILL");
    await holder.ended;
  });
});
