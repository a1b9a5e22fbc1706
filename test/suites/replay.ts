import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { createDeadLetterActions } from "../../src/admin/dead-letter-actions.ts";
import type { Engine } from "../../src/app/engine.ts";
import { CUT_OFF_NOTE, type DeadLetter, type DeadLetterReason } from "../../src/domain/dead-letter.ts";
import { encodeSubmission, joinSubmissions } from "../../src/domain/queue-message.ts";
import type { DeadLetterFilter } from "../../src/ports/dead-letters.ts";
import { QueueUnavailableError, StoreRefusedError } from "../../src/ports/errors.ts";
import type { ImpressionQueue } from "../../src/ports/impression-queue.ts";
import { letterOf } from "../contract/queue/dead-letters.ts";
import { EVERYTHING } from "../kit/views.ts";
import { type Environment, startWorkersOn } from "../support/open-engine.ts";

const REPLAY = { dryRun: false, before: null, limit: 10_000 } as const;

/** The promises of a replay of dead letters, on the engine that the environment names. Each test has its own users. */
export function replaySuite(
  opened: () => { readonly engine: Engine; readonly environment: Environment },
): void {
  const newUser = () => `user-${randomUUID()}`;
  const replay = (filter: DeadLetterFilter, queue: ImpressionQueue = opened().engine.queue) =>
    createDeadLetterActions(queue).replay({ ...REPLAY, filter });

  /** Lets workers settle everything that is queued. */
  async function settle(store = opened().engine.store): Promise<void> {
    const { engine, environment } = opened();
    const workers = startWorkersOn({ ...engine, store }, environment);
    try {
      await expect.poll(async () => (await engine.queue.stats()).pending, { timeout: 60_000 }).toBe(0);
    } finally {
      await workers.stop();
    }
  }

  async function historyOf(userId: string) {
    const request = { ownerId: userId, window: EVERYTHING, after: null, limit: 100 };
    const { rows } = await opened().engine.store.seenPosts(request);
    return rows.map(({ postId, views }) => [postId, views]);
  }

  async function lettersOf(userId: string): Promise<readonly DeadLetter[]> {
    const request = { filter: { userId }, before: null, limit: 100 };
    return (await opened().engine.queue.deadLetters.page(request)).deadLetters;
  }

  /** An impression that is good today, dead-lettered by a stricter rule an hour ago. */
  function letterOfOldRule(
    userId: string,
    postId: string,
    reason: DeadLetterReason = "INVALID_FIELD",
  ): DeadLetter {
    const viewedAtMs = Date.now() - 3_600_000;
    const receivedAtUs = viewedAtMs * 1_000 + 7;
    const impression = { postId, viewedAtMs, surface: "HOME" };
    const payload = { userId, receivedAtUs, impression };
    return letterOf({ userId, reason, receivedAtUs, failedAtMs: viewedAtMs, payload });
  }

  test("an impression that an older rule refused is stored, with its receivedAt", async () => {
    const { queue, store } = opened().engine;
    const userId = newUser();
    const letters = ["p1", "p2"].map((postId) => letterOfOldRule(userId, postId));
    await queue.deadLetters.add(letters);
    expect(await replay({ userId })).toEqual({ matched: 2, done: 2, skipped: 0, next: null });
    await settle();
    expect((await historyOf(userId)).sort()).toEqual([
      ["p1", 1],
      ["p2", 1],
    ]);
    expect(await lettersOf(userId)).toEqual([]);
    // Received before this instant, as the dead letter said, so an erasure up to then takes it.
    await store.eraseUser(userId, (letters[0]?.receivedAtUs ?? 0) - 1);
    expect(await historyOf(userId)).toHaveLength(2);
    await store.eraseUser(userId, letters[1]?.receivedAtUs ?? 0);
    expect(await historyOf(userId)).toEqual([]);
  });

  test("a second replay adds nothing, also after one that died between publishing and deleting", async () => {
    const { queue } = opened().engine;
    const userId = newUser();
    await queue.deadLetters.add([letterOfOldRule(userId, "p1"), letterOfOldRule(userId, "p2")]);
    const died = () => Promise.reject(new QueueUnavailableError("died here"));
    const dying: ImpressionQueue = { ...queue, deadLetters: { ...queue.deadLetters, remove: died } };
    await expect(replay({ userId }, dying)).rejects.toThrow("died here");
    expect(await lettersOf(userId)).toHaveLength(2);
    await settle();
    // A dead letter that came in between makes another message of the same dead letters: the views' identity has to hold.
    await queue.deadLetters.add([letterOfOldRule(userId, "p3")]);
    expect(await replay({ userId })).toMatchObject({ matched: 3, done: 3 });
    expect(await replay({ userId })).toMatchObject({ matched: 0, done: 0 });
    await settle();
    expect((await historyOf(userId)).sort()).toEqual([
      ["p1", 1],
      ["p2", 1],
      ["p3", 1],
    ]);
    expect(await lettersOf(userId)).toEqual([]);
  });

  test("the last version in a list stays, though the store refused all of them at first", async () => {
    const { engine } = opened();
    const userId = newUser();
    const viewedAtMs = Date.now() - 60_000;
    // So many views that their dead letters are replayed in several messages, the newest first.
    const posts = Array.from({ length: 40 }, (_, post) => `p${post}`);
    const versions = ["first", "last"].flatMap((surface) =>
      posts.map((postId) => ({ postId, viewedAtMs, surface, position: null, dwellMs: null })),
    );
    const submission = encodeSubmission({ userId, receivedAtUs: viewedAtMs * 1_000, impressions: versions });
    await engine.queue.publish({ id: randomUUID(), body: joinSubmissions([submission]) });
    await settle({ ...engine.store, writeHistory: () => Promise.reject(new StoreRefusedError("for now")) });
    expect(await replay({ userId })).toMatchObject({ done: versions.length });
    await settle();
    const request = { ownerId: userId, window: EVERYTHING, after: null, limit: 100 };
    const { rows } = await engine.store.seenPosts(request);
    expect(rows.map(({ postId, surface }) => [postId, surface]).sort()).toEqual(
      posts.map((postId) => [postId, "last"]).sort(),
    );
  });

  test("publishing that fails leaves the letters", async () => {
    const { queue } = opened().engine;
    const userId = newUser();
    await queue.deadLetters.add([letterOfOldRule(userId, "p1")]);
    const full: ImpressionQueue = {
      ...queue,
      publish: () => Promise.reject(new QueueUnavailableError("no confirmation")),
    };
    await expect(replay({ userId }, full)).rejects.toThrow("no confirmation");
    expect(await lettersOf(userId)).toHaveLength(1);
  });

  test("whole messages go back as they came; what is no text, or cut off, stays and is counted", async () => {
    const { queue } = opened().engine;
    const userId = newUser();
    const viewedAtMs = Date.now();
    const message = JSON.stringify({
      v: 1,
      submissions: [
        { userId, receivedAtUs: viewedAtMs * 1_000, impressions: [{ postId: "whole", viewedAtMs }] },
      ],
    });
    const whole = (bytes: Buffer, detail = "unreadable") =>
      letterOf({
        reason: "UNREADABLE_MESSAGE",
        detail,
        userId: null,
        receivedAtUs: null,
        payload: { base64: bytes.toString("base64") },
      });
    const good = whole(Buffer.from(message));
    const noText = whole(Buffer.from([0xff, 0x00, 0xfe]));
    const cut = whole(Buffer.from(message.slice(0, -9)), `too much ${CUT_OFF_NOTE}`);
    await queue.deadLetters.add([good, noText, cut]);
    const ids = [good, noText, cut].map(({ id }) => id);
    const dry = await createDeadLetterActions(queue).replay({ ...REPLAY, filter: { ids }, dryRun: true });
    expect(dry).toMatchObject({ matched: 3, done: 0, skipped: 2 });
    expect(await replay({ ids })).toMatchObject({ matched: 3, done: 1, skipped: 2 });
    await settle();
    expect(await historyOf(userId)).toEqual([["whole", 1]]);
    const left = await queue.deadLetters.page({ filter: { ids }, before: null, limit: 10 });
    expect(left.deadLetters.map(({ id }) => id).sort()).toEqual([noText.id, cut.id].sort());
    await queue.deadLetters.remove(ids);
  });

  test("a whole message makes no dead letter of a user who was erased since it was received", async () => {
    const { queue, store } = opened().engine;
    const [erased, other] = [newUser(), newUser()];
    const viewedAtMs = Date.now() - 60_000;
    const throughUs = viewedAtMs * 1_000;
    const submission = (userId: string, receivedAtUs: number) => ({
      userId,
      receivedAtUs,
      impressions: [
        { postId: "bad", viewedAtMs, position: -1 },
        { postId: "good", viewedAtMs },
      ],
    });
    const submissions = [submission(erased, throughUs), submission(other, throughUs)];
    const body = JSON.stringify({ v: 1, submissions: [...submissions, submission(erased, throughUs + 1)] });
    const letter = letterOf({
      reason: "UNREADABLE_MESSAGE",
      userId: null,
      receivedAtUs: null,
      payload: { base64: Buffer.from(body).toString("base64") },
    });
    await queue.deadLetters.add([letter]);
    await store.eraseUser(erased, throughUs);
    expect(await replay({ ids: [letter.id] })).toMatchObject({ done: 1 });
    await settle();
    expect((await lettersOf(erased)).map(({ receivedAtUs }) => receivedAtUs)).toEqual([throughUs + 1]);
    expect(await lettersOf(other)).toHaveLength(1);
    expect(await historyOf(erased)).toEqual([["good", 1]]);
  });

  test("an impression that has crashed a worker is replayed alone, and affects no other", async () => {
    const { queue } = opened().engine;
    const userId = newUser();
    const crashed = letterOfOldRule(userId, "crash", "CRASHED_WORKER");
    await queue.deadLetters.add([letterOfOldRule(userId, "p1"), crashed, letterOfOldRule(userId, "p2")]);
    const bodies: string[] = [];
    const watched: ImpressionQueue = {
      ...queue,
      publish(given) {
        bodies.push(given.body);
        return queue.publish(given);
      },
    };
    expect(await replay({ userId }, watched)).toMatchObject({ done: 3 });
    expect(bodies).toHaveLength(2);
    expect(bodies.filter((body) => body.includes('"crash"') && !body.includes('"p1"'))).toHaveLength(1);
    await settle();
  });

  test("goes on in steps, newest first, and never meets what is added meanwhile", async () => {
    const { queue } = opened().engine;
    const userId = newUser();
    const letter = (postId: string) => letterOfOldRule(userId, postId);
    for (const postId of ["p1", "p2", "p3", "p4", "p5"]) await queue.deadLetters.add([letter(postId)]);
    const { replay: step } = createDeadLetterActions(queue);
    let handled = 0;
    let before: number | null = null;
    do {
      const action = await step({ filter: { userId }, dryRun: false, before, limit: 2 });
      expect(action.matched).toBeLessThanOrEqual(2);
      expect(action.done).toBe(action.matched);
      handled += action.done;
      before = action.next;
      await queue.deadLetters.add([letter(`new-${handled}`)]);
    } while (before !== null);
    expect(handled).toBe(5);
    const left = (await lettersOf(userId)).map(({ payload }) => JSON.stringify(payload));
    expect(left.every((payload) => payload.includes("new-"))).toBe(true);
    await replay({ userId });
    await settle();
  });
}
