import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { startErasureRunner } from "../../src/admin/erasure-runner.ts";
import { createErasures } from "../../src/admin/erasures.ts";
import { joinSubmissions } from "../../src/domain/queue-message.ts";
import { systemClock } from "../../src/domain/time.ts";
import { openForWriting, prepareDatabase, scrub } from "../../src/embedded/database.ts";
import { QUEUE_SCHEMA, STORE_SCHEMA } from "../../src/embedded/schema.ts";
import { createStoreWrites, type UserPosition } from "../../src/embedded/store-writes.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { scanAll } from "../contract/store/fixture.ts";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { createRandom } from "../kit/random.ts";
import { viewOf } from "../kit/views.ts";
import { openEngineOf, startWorkersOn } from "../support/open-engine.ts";

const PATIENCE = { timeout: 120_000, interval: 100 };
const MESSAGES = 60;
const LISTS_PER_MESSAGE = 10;

/** How often the text stands in each file of the directory; only those that hold it. */
function occurrences(directory: string, text: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const file of readdirSync(directory)) {
    const count = readFileSync(join(directory, file)).toString("latin1").split(text).length - 1;
    if (count > 0) found[file] = count;
  }
  return found;
}

test("no file of the embedded engine holds the id of an erased user", async () => {
  const directory = createTemporaryDirectory();
  onTestFinished(directory.remove);
  const environment = { DATA_DIR: directory.path };
  const erasedId = `erased-${randomUUID()}`;
  const engine = await openEngineOf(environment);
  const workers = startWorkersOn(engine, environment);
  const settled = () => expect.poll(async () => (await engine.queue.stats()).pending, PATIENCE).toBe(0);

  // Among those of others, so that pages are shared, split and freed; every seventh impression is a bad one.
  const nowMs = Date.now() - 60_000;
  for (let message = 0; message < MESSAGES; message++) {
    const lists = Array.from({ length: LISTS_PER_MESSAGE }, (_, list) =>
      JSON.stringify({
        userId: list % 3 === 0 ? erasedId : `user-${(message * list) % 40}`,
        receivedAtUs: (nowMs + message) * 1_000 + list,
        impressions: Array.from({ length: 14 }, (__, index) => ({
          postId: `post-${(message * 31 + list * 7 + index * 11) % 500}`,
          viewedAtMs: nowMs - message * 1_000 - list * 20 - index,
          position: index % 7 === 6 ? -1 : index,
        })),
      }),
    );
    await engine.queue.publish({ id: randomUUID(), body: joinSubmissions(lists) });
  }
  await settled();
  expect(Object.keys(occurrences(directory.path, erasedId)).length).toBeGreaterThan(1);
  const lettersBefore = await engine.queue.deadLetters.count();

  const runner = startErasureRunner({
    store: engine.store,
    queue: engine.queue,
    clock: systemClock,
    enqueuedWithinMs: 0,
    holder: "test",
    logger: createLogger("silent"),
  });
  onTestFinished(runner.stop);
  const { request } = createErasures({
    store: engine.store,
    newId: randomUUID,
    receivedAt: { nextUs: () => (nowMs + MESSAGES) * 1_000 },
    onRequest: runner.wake,
  });
  const [{ id }, second] = [await request(erasedId), await request(erasedId)];
  await expect.poll(async () => (await engine.store.findErasure(id))?.status, PATIENCE).toBe("DONE");
  await expect.poll(async () => (await engine.store.findErasure(second.id))?.status, PATIENCE).toBe("DONE");
  await expect.poll(() => occurrences(directory.path, erasedId), PATIENCE).toEqual({});

  // Both receipts say that it was the same user, and not which.
  const receipts = [await engine.store.findErasure(id), await engine.store.findErasure(second.id)];
  expect(receipts[0]?.userId).toMatch(/^hash:[0-9a-f]{32}$/);
  expect(receipts[1]?.userId).toBe(receipts[0]?.userId);
  const letters = await engine.queue.deadLetters.count();
  expect(letters).toBeGreaterThan(0);
  expect(letters).toBeLessThan(lettersBefore);
  expect((await scanAll(engine.store)).length).toBeGreaterThan(1_000);

  await runner.stop();
  await workers.stop();
  await engine.close();
  expect(occurrences(directory.path, erasedId)).toEqual({});
});

test("records of erased users from an earlier release are hashed, and still refuse late views", async () => {
  const directory = createTemporaryDirectory();
  onTestFinished(directory.remove);
  const erasedId = `erased-${randomUUID()}`;
  const viewedAtMs = Date.now() - 60_000;
  const storeFile = join(directory.path, "store.sqlite");
  for (const [file, { steps }] of Object.entries({
    "queue.sqlite": QUEUE_SCHEMA,
    "store.sqlite": STORE_SCHEMA,
  })) {
    const database = new DatabaseSync(join(directory.path, file));
    database.exec(`${steps.slice(0, 2).join(";")}; PRAGMA user_version = 2;`);
    database.close();
  }
  const before = new DatabaseSync(storeFile);
  before.prepare("INSERT INTO erased_users VALUES (?, ?)").run(erasedId, viewedAtMs * 1_000);
  const receipt = before.prepare("INSERT INTO erasures VALUES (?, ?, ?, ?, 3, 1)");
  receipt.run("done", erasedId, viewedAtMs * 1_000, "DONE");
  receipt.run("open", "open-user", viewedAtMs * 1_000, "DELETING");
  before.close();

  const engine = await openEngineOf({ DATA_DIR: directory.path });
  onTestFinished(engine.close);
  expect(occurrences(directory.path, erasedId)).toEqual({});
  expect((await engine.store.findErasure("done"))?.userId).toMatch(/^hash:/);
  expect((await engine.store.findErasure("open"))?.userId).toBe("open-user");
  expect((await engine.store.erasedThrough([erasedId])).get(erasedId)).toBe(viewedAtMs * 1_000);
  const late = viewOf({ userId: erasedId, postId: "p", viewedAtMs });
  await engine.store.writeHistory(erasedId, [late]);
  expect(await scanAll(engine.store)).toEqual([]);
});

test.each([2, 7, 11, 32])(
  "scrubbing leaves no copy that SQLite has left beside its rows (seed %i)",
  (seed) => {
    const directory = createTemporaryDirectory();
    onTestFinished(directory.remove);
    const file = join(directory.path, "store.sqlite");
    prepareDatabase(file, STORE_SCHEMA);
    const database = openForWriting(file);
    const { writeHistory, eraseChunk } = createStoreWrites(database);
    const random = createRandom(seed);
    database.exec("BEGIN");
    for (let call = 0; call < 600; call++) {
      const userId = call % 3 === 0 ? "erased-user" : `user-${random.integer(0, 40)}`;
      const views = Array.from({ length: 12 }, () =>
        viewOf({
          userId,
          postId: `post-${random.integer(0, 500)}`,
          viewedAtMs: 1_790_000_000_000 + random.integer(0, 1_000_000_000),
        }),
      );
      writeHistory({ userId, views, expiredThroughMs: 0 });
    }
    for (let after: UserPosition | null = null; ; ) {
      const { next } = eraseChunk({
        userId: "erased-user",
        reach: { throughUs: 2e15, aheadOfUs: 2e15 },
        after,
        rows: 500,
      });
      if (next === null) break;
      after = next;
    }
    database.exec("COMMIT");
    expect(scrub(database, Number.POSITIVE_INFINITY)).toBe(true);
    expect(occurrences(directory.path, "erased-user")).toEqual({});
    expect(Number(database.prepare("SELECT count(*) AS views FROM views").get()?.views)).toBeGreaterThan(
      4_000,
    );
    database.close();
  },
);
