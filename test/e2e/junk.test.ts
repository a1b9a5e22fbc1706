import { expect, onTestFinished, test } from "vitest";
import type { Engine } from "../../src/app/engine.ts";
import { joinSubmissions } from "../../src/domain/queue-message.ts";
import { DeadLettersFullError, StoreUnavailableError } from "../../src/ports/errors.ts";
import { DEAD_LETTERS_PER_USER_MAX } from "../../src/workers/dead-letter-writer.ts";
import { letterOf } from "../contract/queue/dead-letters.ts";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { openEngineOf, startWorkersOn } from "../support/open-engine.ts";

const PATIENCE = { timeout: 60_000, interval: 20 };

async function openEmbedded(): Promise<Engine> {
  const directory = createTemporaryDirectory();
  const engine = await openEngineOf({ DATA_DIR: directory.path, DEAD_LETTER_MAX_BYTES: "1MiB" });
  onTestFinished(async () => {
    await engine.close();
    directory.remove();
  });
  return engine;
}

/**
 * Workers whose messages come back at once, and how often each user's history was written.
 *
 * @param failures so many of these writes fail first.
 */
function startImpatientWorkers(engine: Engine, failures = 0) {
  const writes: string[] = [];
  let returned = 0;
  const workers = startWorkersOn(
    {
      ...engine,
      queue: {
        ...engine.queue,
        nak: async (deliveries) => {
          returned += deliveries.length;
          await engine.queue.nak(deliveries, 0);
        },
      },
      store: {
        ...engine.store,
        writeHistory: async (userId, views, options) => {
          writes.push(userId);
          if (writes.length <= failures) throw new StoreUnavailableError("not now");
          await engine.store.writeHistory(userId, views, options);
        },
      },
    },
    {},
  );
  onTestFinished(() => workers.stop());
  return { workers, writes, returned: () => returned };
}

const messageOf = (userId: string, postIds: readonly string[]) => {
  const receivedAtUs = Date.now() * 1_000;
  const impressions = postIds.map((postId) => ({ postId, viewedAtMs: Date.now() - 1_000 }));
  return joinSubmissions([JSON.stringify({ userId, receivedAtUs, impressions })]);
};

/** Leaves no room for a dead letter. @returns how to make room again. */
async function fillDeadLetters({ queue: { deadLetters } }: Engine): Promise<() => Promise<unknown>> {
  const filler = letterOf({ detail: "x".repeat(1_048_000) });
  await deadLetters.add([filler]);
  await expect(deadLetters.add([letterOf({ detail: "x".repeat(1_000) })])).rejects.toThrow(
    DeadLettersFullError,
  );
  return () => deadLetters.remove([filler.id]);
}

test("while the dead letters are full, the good part of a message is stored, and that once", async () => {
  const engine = await openEmbedded();
  const { deadLetters } = engine.queue;
  const makeRoom = await fillDeadLetters(engine);
  const { workers, writes, returned } = startImpatientWorkers(engine);
  await engine.queue.publish({ id: "mixed", body: messageOf("u", ["good", "null", "good too"]) });
  await expect.poll(returned, PATIENCE).toBeGreaterThan(8);
  expect(writes).toEqual(["u"]);
  expect(workers.counts()).toMatchObject({ stored: 0, acknowledged: 0 });

  await makeRoom();
  await expect.poll(async () => (await engine.queue.stats()).pending, PATIENCE).toBe(0);
  expect(workers.counts()).toMatchObject({ stored: 2, deadLettered: { INVALID_POST_ID: 1 } });
  expect(await deadLetters.count()).toBe(1);
  expect(writes).toEqual(["u"]);
});

test("good impressions next to a dead letter that could not be written are stored later", async () => {
  const engine = await openEmbedded();
  const makeRoom = await fillDeadLetters(engine);
  const users = Array.from({ length: 12 }, (_, user) => `u${user}`);
  for (const user of users) await engine.queue.publish({ id: user, body: messageOf(user, ["good", "null"]) });
  const { returned } = startImpatientWorkers(engine, users.length);
  await expect.poll(returned, PATIENCE).toBeGreaterThan(2 * users.length);
  await makeRoom();
  await expect.poll(async () => (await engine.queue.stats()).pending, PATIENCE).toBe(0);
  const rule = { sinceMs: 0, minDwellMs: 0, minViews: 1 };
  for (const user of users)
    expect([user, ...(await engine.store.seenAmong(user, ["good"], rule))]).toEqual([user, "good"]);
});

test("one user's junk gets so many letters and no more; all of it is counted, and others get theirs", async () => {
  const engine = await openEmbedded();
  const { workers } = startImpatientWorkers(engine);
  const junk = Array<string>(500).fill("null");
  const settled = (messages: number) =>
    expect.poll(() => workers.counts().acknowledged, PATIENCE).toBe(messages);
  for (let message = 1; message <= 7; message++) {
    await engine.queue.publish({ id: `junk ${message}`, body: messageOf("u", junk) });
    await settled(message);
  }
  await engine.queue.publish({ id: "other", body: messageOf("v", ["null"]) });
  await settled(8);
  // 3,500 of u's: 1,000 letters, and those of the 1,000th and the 2,000th beyond.
  expect(await engine.queue.deadLetters.count()).toBe(DEAD_LETTERS_PER_USER_MAX + 2 + 1);
  expect(workers.counts()).toMatchObject({
    deadLettered: { INVALID_POST_ID: 3_501 },
    deadLettersOmitted: 2_498,
  });
});
