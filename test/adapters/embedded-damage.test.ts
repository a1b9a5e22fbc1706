import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { WalkRequest } from "../../src/domain/walk.ts";
import { diagnoseEmbedded } from "../../src/embedded/doctor.ts";
import { QueueUnavailableError, StoreUnavailableError } from "../../src/ports/errors.ts";
import { letterOf } from "../contract/queue/dead-letters.ts";
import { pullOf } from "../contract/queue/fixture.ts";
import { openTemporaryEngine } from "../kit/embedded.ts";
import { EVERYTHING, viewOf } from "../kit/views.ts";
import { damageDatabase } from "../support/damage.ts";

const USERS = 400;
const VIEWS_EACH = 20;
const NOW_MS = Date.now();

/** An engine whose files hold something, opened anew, so that nothing of them is in memory. */
async function openFilled() {
  const engine = await openTemporaryEngine();
  onTestFinished(() => engine.dispose());
  const { queue, store } = engine.current();
  const filling = Array.from({ length: USERS }, (_, user) => {
    const views = Array.from({ length: VIEWS_EACH }, (_, post) =>
      viewOf({ userId: `u${user}`, postId: `p${post}`, viewedAtMs: NOW_MS - 60_000 + post }),
    );
    return store.writeHistory(`u${user}`, views);
  });
  await Promise.all(filling);
  await Promise.all(
    Array.from({ length: 500 }, (_, message) =>
      queue.publish({ id: `m${message}`, body: "x".repeat(2_000) }),
    ),
  );
  const told: string[] = [];
  const reopened = await engine.reopen({ onDamage: (reason) => told.push(reason) });
  const file = (name: string) => join(engine.dataDir, name);
  return { ...reopened, dataDir: engine.dataDir, file, told };
}

const seenPosts = (ownerId: string): WalkRequest => ({ ownerId, window: EVERYTHING, after: null, limit: 50 });

describe("store.sqlite that is damaged while it is used", () => {
  it("answers nothing more, not even in part, says so once, and is unhealthy until a restart", async () => {
    const { store, told, file } = await openFilled();
    expect((await store.seenPosts(seenPosts("u0"))).rows).toHaveLength(VIEWS_EACH);
    damageDatabase(file("store.sqlite"));
    let refusals = 0;
    for (let user = 0; user < USERS; user++) {
      const page = await store.seenPosts(seenPosts(`u${user}`)).catch((error: unknown) => error);
      if (page instanceof Error) {
        expect(page).toBeInstanceOf(StoreUnavailableError);
        refusals++;
      } else {
        // Answers before the damage was met are complete, and there are none after it.
        expect([refusals, (page as { rows: unknown[] }).rows.length]).toEqual([0, VIEWS_EACH]);
      }
    }
    expect(refusals).toBeGreaterThan(0);
    expect(told).toEqual([expect.stringContaining(file("store.sqlite"))]);
    expect(await store.health()).toEqual({
      healthy: false,
      lasting: true,
      reason: expect.stringContaining(file("store.sqlite")),
    });
    const refused: Record<string, () => Promise<unknown>> = {
      writeHistory: () =>
        store.writeHistory("new", [viewOf({ userId: "new", postId: "p", viewedAtMs: NOW_MS })]),
      seenAmong: () => store.seenAmong("u0", ["p0"], { minViews: 1, minDwellMs: 0, sinceMs: 0 }),
      scan: () => store.scan(null, 10),
      findErasure: () => store.findErasure("none"),
      unfinishedErasures: () => store.unfinishedErasures(),
      eraseUser: () => store.eraseUser("u0", NOW_MS * 1_000),
    };
    for (const [name, call] of Object.entries(refused))
      await expect(call(), name).rejects.toThrow(StoreUnavailableError);
    expect(told).toHaveLength(1);
  });

  it("is noticed by a write as well, which is not taken for stored", async () => {
    const { store, told, file } = await openFilled();
    damageDatabase(file("store.sqlite"));
    const write = (user: number) =>
      store.writeHistory(`w${user}`, [viewOf({ userId: `w${user}`, postId: "p", viewedAtMs: NOW_MS })]);
    const results = await Promise.allSettled(Array.from({ length: 20 }, (_, user) => write(user)));
    expect(results.map(({ status }) => status)).toEqual(Array(20).fill("rejected"));
    await expect(write(0)).rejects.toThrow(StoreUnavailableError);
    expect(told).toEqual([expect.stringContaining(file("store.sqlite"))]);
    expect((await store.health()).healthy).toBe(false);
  });
});

describe("damage that a read has met", () => {
  it("ends the writes as well, those on their way included, though the writer has in memory what they need", async () => {
    const { store, told, file } = await openFilled();
    const write = () => store.writeHistory("w", [viewOf({ userId: "w", postId: "p", viewedAtMs: NOW_MS })]);
    await write();
    damageDatabase(file("store.sqlite"));
    const onItsWay = write();
    await Promise.all([
      expect(store.seenPosts(seenPosts("u0"))).rejects.toThrow(StoreUnavailableError),
      expect(onItsWay).rejects.toThrow(file("store.sqlite")),
    ]);
    expect(told).toHaveLength(1);
    await expect(store.sweep()).rejects.toThrow(file("store.sqlite"));
  });
});

describe("queue.sqlite that is damaged while it is used", () => {
  it("acknowledges nothing more and delivers nothing more", async () => {
    const { queue, store, told, file } = await openFilled();
    damageDatabase(file("queue.sqlite"));
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, message) => queue.publish({ id: `new ${message}`, body: "a" })),
    );
    expect(results.map(({ status }) => status)).toEqual(Array(20).fill("rejected"));
    expect(told).toEqual([expect.stringContaining(file("queue.sqlite"))]);
    expect(await queue.health()).toMatchObject({ healthy: false, lasting: true });
    const refused: Record<string, () => Promise<unknown>> = {
      publish: () => queue.publish({ id: "b", body: "b" }),
      pull: () => queue.pull(pullOf()),
      stats: () => queue.stats(),
      newestSequence: () => queue.newestSequence(),
      "deadLetters.add": () => queue.deadLetters.add([letterOf({})]),
      "attempts.read": () => queue.attempts.read(1),
    };
    for (const [name, call] of Object.entries(refused))
      await expect(call(), name).rejects.toThrow(QueueUnavailableError);
    // The other file is whole.
    expect(await store.health()).toEqual({ healthy: true });
  });

  it("is noticed by a pull as well", async () => {
    const { queue, told, file } = await openFilled();
    damageDatabase(file("queue.sqlite"));
    await expect(queue.pull(pullOf())).rejects.toThrow(QueueUnavailableError);
    expect(told).toHaveLength(1);
    await expect(queue.publish({ id: "a", body: "a" })).rejects.toThrow(QueueUnavailableError);
  });
});

describe("impressions doctor", () => {
  it("reads the files through, and names the one that is damaged", async () => {
    const { dataDir, file } = await openFilled();
    const findings = () =>
      Object.fromEntries(
        diagnoseEmbedded({ dataDir, queueMaxBytes: 1, deadLetterMaxBytes: 1, isHeld: true }).map(
          ({ check, result, detail }) => [check, `${result}: ${detail}`],
        ),
      );
    expect(findings()["store.sqlite"]).toMatch(/^ok: format \d+, no damage found$/);
    damageDatabase(file("store.sqlite"));
    expect(findings()).toMatchObject({
      "queue.sqlite": expect.stringMatching(/^ok: /),
      "store.sqlite": expect.stringMatching(
        /^failed: .*store\.sqlite is damaged: restore store\.sqlite.*\)$/,
      ),
    });
  });
});
