import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ApiError } from "../../src/errors.ts";
import { StoreUnavailableError } from "../../src/ports/errors.ts";
import { encodeLine } from "../../src/transfer/line-codec.ts";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { type ServiceProcess, startServiceProcess } from "../kit/service-process.ts";
import { run } from "../servers/command.ts";
import { readmeSessions, replaySessions } from "../suites/readme-session.ts";
import { type Api, startApi } from "../support/api.ts";
import { EXAMPLE_PROGRAMS, type InstalledExample, installExample } from "./support/example-programs.ts";
import { linesOf, recordUntilStored, sampleViews, untilStored } from "./support/example-views.ts";

/** A wait that no other delay explains, and that `Retry-After` says as well. */
const RETRY_AFTER_MS = 1_000;

const { views, userIds, candidates } = sampleViews();
const directory = createTemporaryDirectory();
let service: ServiceProcess;

beforeAll(async () => {
  service = await startServiceProcess({ DATA_DIR: directory.path });
  await recordUntilStored(service.url, views);
});

afterAll(async () => {
  await service?.kill("SIGTERM");
  directory.remove();
});

describe.each(EXAMPLE_PROGRAMS)("the $name example", (program) => {
  let example: InstalledExample;
  beforeAll(async () => {
    example = await installExample(program);
  });

  test("answers for one user, for a hundred users at once, and walks a history over its pages", async () => {
    const output = await example.ask(service.url, userIds, candidates);
    expect(output).toEqual(linesOf({ views, userIds, candidates }));
  });

  test("waits as long as it is told and asks again; an empty page does not end a walk", async () => {
    const { api, calls } = await startFaultyApi();
    onTestFinished(api.stop);
    const few = { views: views.slice(0, 20), userIds: ["maria"], candidates: candidates.slice(0, 5) };
    await api.store(few.views);

    const output = await example.ask(api.url, few.userIds, few.candidates);
    expect(output).toEqual(linesOf(few));
    // One user and the batch: 503, 429, answer, answer. Waiting longer than told is fine, and a slow machine does.
    expect(calls.seenAmong).toHaveLength(4);
    const [, limitedAt = 0, answeredAt = 0] = calls.seenAmong;
    expect(answeredAt - limitedAt).toBeGreaterThanOrEqual(RETRY_AFTER_MS);
    expect(calls.emptyPages).toBe(1);
  });

  test("says the code of a request that is wrong, and fails", async () => {
    const wrong = example.ask(service.url, ["maria"], ["undefined"]);
    await expect(wrong).rejects.toThrow(
      'BAD_USER_INPUT: candidates[0] must be a real id, not the text "undefined"',
    );
  });

  test("its README shows what it prints", async () => {
    const fresh = createTemporaryDirectory();
    onTestFinished(fresh.remove);
    const { url, kill } = await startServiceProcess({ DATA_DIR: fresh.path });
    onTestFinished(async () => void (await kill("SIGKILL")));
    const env = { ...example.env, IMPRESSIONS_URL: url };

    const recording = readmeSessions("examples/README.md");
    const asking = readmeSessions(`examples/${program.name}/README.md`);
    expect([recording.length, asking.length]).toEqual([1, 1]);
    await replaySessions(recording, url, { env });
    await replaySessions(asking, url, { env, cwd: example.cwd });
  });
});

describe("the bulk program of the python example", () => {
  const python = EXAMPLE_PROGRAMS.find(({ name }) => name === "python");
  const files = createTemporaryDirectory();
  let example: InstalledExample;
  beforeAll(async () => {
    if (python === undefined) throw new Error("there is no python example");
    example = await installExample(python);
    return files.remove;
  });

  async function bulk(url: string, ...parameters: readonly string[]): Promise<string[]> {
    const { cwd, env } = example;
    const options = { cwd, env: { ...env, IMPRESSIONS_URL: url }, timeoutMs: 100_000 };
    return (await run("python", ["bulk.py", ...parameters], options)).trimEnd().split("\n");
  }

  function fileOf(name: string, lines: readonly string[]): string {
    const path = join(files.path, name);
    writeFileSync(path, `${lines.join("\n")}\n`);
    return path;
  }

  const unseenBy = (userId: string, shown: readonly string[]) => {
    const seen = new Set(views.filter((view) => view.userId === userId).map(({ postId }) => postId));
    return [`${userId}:`, ...shown.filter((postId) => !seen.has(postId))].join(" ");
  };

  test("records an export, several lists at a time, and answers for more users than a request takes", async () => {
    const fresh = createTemporaryDirectory();
    onTestFinished(fresh.remove);
    const { url, kill } = await startServiceProcess({ DATA_DIR: fresh.path });
    onTestFinished(async () => void (await kill("SIGKILL")));

    // More of one user than a list holds: two thousand earlier views of the first one's posts change nothing unseen.
    const [first] = views;
    const more = Array.from({ length: 2_000 }, (_, index) => ({
      ...(first as (typeof views)[number]),
      viewedAtMs: Date.now() - 1_000_000 - index,
    }));
    const lines = [...more, ...views].map(encodeLine);
    expect(await bulk(url, "record", fileOf("views.ndjson", lines))).toEqual([`accepted: ${lines.length}`]);
    await untilStored(url);

    const asked = [...userIds, "nobody-yet"];
    const answers = await bulk(url, "unseen", fileOf("users.txt", asked), ...candidates);
    expect(answers).toEqual(asked.map((userId) => unseenBy(userId, candidates)));
  });

  test("answers for users with lists of their own, in requests that hold what a request may", async () => {
    // A hundred of the first ones would be more than a body holds; of the last ones, their number ends a request.
    const unknown = Array.from({ length: 70 }, (_, index) => `unknown-${index}`.padEnd(36, "-"));
    const lists = userIds.map((userId, index) => {
      const start = index * 4;
      return { userId, candidates: [...candidates.slice(start, start + 30), ...unknown] };
    });
    const others = Array.from({ length: 200 }, (_, index) => ({
      userId: `other-${index}`,
      candidates: ["post-1"],
    }));
    const all = [...lists, ...others];
    const answers = await bulk(
      service.url,
      "unseen-each",
      fileOf(
        "lists.ndjson",
        all.map((list) => JSON.stringify(list)),
      ),
    );
    expect(answers).toEqual(all.map((list) => unseenBy(list.userId, list.candidates)));
  });

  test("waits as long as it is told and asks again", async () => {
    const { api, calls } = await startFaultyApi();
    onTestFinished(api.stop);
    await api.store(views.filter(({ userId }) => userId === "maria").slice(0, 1));
    const few = [views[0]?.postId ?? "", "post-unseen"];

    expect(await bulk(api.url, "unseen", fileOf("one.txt", ["maria"]), ...few)).toEqual([
      "maria: post-unseen",
    ]);
    expect(calls.seenAmong).toHaveLength(3);
    const [, limitedAt = 0, answeredAt = 0] = calls.seenAmong;
    expect(answeredAt - limitedAt).toBeGreaterThanOrEqual(RETRY_AFTER_MS);
  });

  test("says the code of a request that is wrong", async () => {
    const users = fileOf("maria.txt", ["maria"]);
    await expect(bulk(service.url, "unseen", users, "undefined")).rejects.toThrow(
      'BAD_USER_INPUT: candidates[0] must be a real id, not the text "undefined"',
    );
  });
});

/** The API in front of a store that is away once, then over a rate once, and begins every walk with an empty page. */
async function startFaultyApi(): Promise<{
  api: Api;
  calls: { seenAmong: number[]; emptyPages: number };
}> {
  const calls = { seenAmong: [] as number[], emptyPages: 0 };
  const api = await startApi({
    override: ({ store }) => ({
      store: {
        ...store,
        async seenAmong(...question) {
          const call = calls.seenAmong.push(performance.now());
          if (call === 1) throw new StoreUnavailableError("away");
          if (call === 2) throw new ApiError("RATE_LIMITED", "Too many requests.", RETRY_AFTER_MS);
          return store.seenAmong(...question);
        },
        async seenPosts(request) {
          if (request.after !== null) return store.seenPosts(request);
          calls.emptyPages++;
          const boundMs = Date.now();
          return { rows: [], boundMs, next: { viewedAtMs: boundMs, id: "above all" } };
        },
      },
    }),
  });
  return { api, calls };
}
