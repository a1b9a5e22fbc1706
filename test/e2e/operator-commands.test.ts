import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PipelineDocument, RecordImpressionsDocument } from "../../src/generated/operations.ts";
import { query } from "../kit/graphql-request.ts";
import { runCommand, type ServiceProcess } from "../kit/service-process.ts";
import { createEmbeddedInstallation, type EmbeddedInstallation } from "../support/embedded-installation.ts";

/** More than one request of a command handles. */
const BAD_IMPRESSIONS = 700;

describe("operator commands", () => {
  let installation: EmbeddedInstallation;
  let service: ServiceProcess;

  beforeAll(async () => {
    // An erasure waits as long as a mutation may be on its way, so a short way makes a short test.
    installation = createEmbeddedInstallation({ PUBLISH_TIMEOUT_MS: "500" });
    service = await installation.start();
  });

  afterAll(() => installation.dispose());

  const run = (...parameters: string[]) =>
    runCommand({ ...installation.environment, IMPRESSIONS_URL: service.url }, ...parameters);
  /** No service is asked: nothing listens on the port. */
  const runAlone = (...parameters: string[]) =>
    runCommand({ ...installation.environment, PORT: "1" }, ...parameters);
  const pipeline = async () => (await query(service.url, PipelineDocument, {})).pipeline;
  const settled = () => expect.poll(async () => (await pipeline()).pending, { timeout: 60_000 }).toBe(0);
  const record = (userId: string, postIds: readonly string[]) => {
    const nowMs = Date.now();
    const impressions = postIds.map((postId, index) => ({
      postId,
      viewedAt: new Date(nowMs - index).toISOString(),
    }));
    return query(service.url, RecordImpressionsDocument, { input: { userId, impressions } });
  };
  const lines = (text: string) => text.trim().split("\n");

  test("dead letters are listed by condition, and shown", async () => {
    await record("maria", ["good", "null"]);
    for (let left = BAD_IMPRESSIONS; left > 0; left -= 350)
      await record(
        "josef",
        Array.from({ length: 350 }, () => "undefined"),
      );
    await settled();
    const listed = await run("dead-letters", "list", "--user", "maria", "--since", "1h", "--json");
    expect(listed).toMatchObject({ code: 0, stderr: "" });
    const letter = JSON.parse(listed.stdout) as { id: string };
    expect(letter).toMatchObject({ reason: "INVALID_POST_ID", payload: { userId: "maria" } });
    expect((await run("dead-letters", "list", "--until", "1h")).stdout).toBe("");

    const shown = await run("dead-letters", "show", letter.id);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/^reason +INVALID_POST_ID$/m);
    expect(shown.stdout).toContain('"postId": "null"');
    const unknown = await run("dead-letters", "show", "0123");
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining("no dead letter 0123") });
  });

  test("replay wants to know which, and works off more than one request takes", async () => {
    const which = await run("dead-letters", "replay");
    expect(which).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("--all") });
    const dry = await run("dead-letters", "replay", "--user", "josef", "--dry-run");
    expect(dry).toMatchObject({ code: 0, stdout: `${BAD_IMPRESSIONS} dead letters would be replayed\n` });
    expect((await pipeline()).deadLetters).toBe(BAD_IMPRESSIONS + 1);

    const replayed = await run("dead-letters", "replay", "--user", "josef", "--json");
    expect(replayed.code).toBe(0);
    expect(JSON.parse(replayed.stdout)).toEqual({
      matched: BAD_IMPRESSIONS,
      done: BAD_IMPRESSIONS,
      skipped: 0,
    });
    // They are as bad as before: each is there once.
    await settled();
    expect((await pipeline()).deadLetters).toBe(BAD_IMPRESSIONS + 1);
  });

  test("discard asks first, and without a terminal needs --yes", async () => {
    const noDay = await run("dead-letters", "discard", "--until", "2026-02-31", "--yes");
    expect(noDay).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining("there is no such day"),
    });
    const asked = await run("dead-letters", "discard", "--user", "josef");
    expect(asked).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("--yes") });
    expect((await pipeline()).deadLetters).toBe(BAD_IMPRESSIONS + 1);
    const discarded = await run("dead-letters", "discard", "--user", "josef", "--yes");
    expect(discarded).toMatchObject({ code: 0, stdout: `discarded ${BAD_IMPRESSIONS} dead letters\n` });
    expect((await pipeline()).deadLetters).toBe(1);
    const nothing = await run("dead-letters", "discard", "--user", "josef", "--yes");
    expect(nothing).toMatchObject({ code: 0, stdout: "0 dead letters would be discarded\n" });
  });

  test("erase-user waits and prints the receipt", async () => {
    expect(await run("erase-user", "maria")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("--yes"),
    });
    const erased = await run("erase-user", "maria", "--yes", "--json");
    expect(erased.code).toBe(0);
    expect(JSON.parse(erased.stdout)).toMatchObject({ userId: "maria", status: "DONE", rowsDeleted: 1 });
    expect((await pipeline()).deadLetters).toBe(0);
  });

  test("an erasure continues without a service, with the same erasure record", async () => {
    await record("petra", ["p1", "p2", "undefined"]);
    await settled();
    const requested = await run("erase-user", "petra", "--yes", "--no-wait", "--json");
    const { id, status } = JSON.parse(requested.stdout) as { id: string; status: string };
    expect(status).toBe("WAITING_FOR_QUEUE");
    await service.kill("SIGKILL");

    expect(lines((await runAlone("dead-letters", "list")).stdout)).toHaveLength(1);
    const erased = await runAlone("erase-user", "petra", "--yes", "--json");
    expect(erased).toMatchObject({ code: 0, stderr: expect.stringContaining(`erasure ${id}, requested at`) });
    expect(JSON.parse(erased.stdout)).toMatchObject({ id, status: "DONE", rowsDeleted: 2 });
    expect((await runAlone("dead-letters", "list")).stdout).toBe("");
  });
});
