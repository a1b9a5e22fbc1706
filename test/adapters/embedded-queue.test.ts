import { statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { carryOutErasure } from "../../src/admin/erasure-steps.ts";
import { DAY_MS, systemClock } from "../../src/domain/time.ts";
import { openForReading, openForWriting, prepareDatabase, scrub } from "../../src/embedded/database.ts";
import type { EmbeddedEngineOptions } from "../../src/embedded/open.ts";
import { QUEUE_SCHEMA } from "../../src/embedded/schema.ts";
import type { DeadLetterFilter, DeadLetterPage } from "../../src/ports/dead-letters.ts";
import { QueueFullError } from "../../src/ports/errors.ts";
import type { Delivery } from "../../src/ports/impression-queue.ts";
import type { Logger } from "../../src/telemetry/logger.ts";
import { letterOf } from "../contract/queue/dead-letters.ts";
import { BRIEF_MS, bodyOf, only, publishAll, pullCount, pullOf } from "../contract/queue/fixture.ts";
import { queueContract } from "../contract/queue/index.ts";
import { createTemporaryDirectory } from "../kit/directory.ts";
import { openTemporaryEngine } from "../kit/embedded.ts";

queueContract({
  name: "embedded",
  async open(limits) {
    const engine = await openTemporaryEngine({ ...limits, clock: systemClock });
    return {
      queue: engine.current().queue,
      reopen: async () => (await engine.reopen()).queue,
      dispose: () => engine.dispose(),
    };
  },
});

describe("embedded queue", () => {
  const MINUTE_MS = 60_000;
  const NOW_MS = 1_790_000_000_000;

  /** An engine whose clock the test sets. */
  async function openAt(options: Partial<EmbeddedEngineOptions> = {}) {
    const clock = {
      nowMs: () => time.nowMs,
      monotonicMs: () => systemClock.monotonicMs() + time.nowMs - NOW_MS,
    };
    const time = { nowMs: NOW_MS };
    const engine = await openTemporaryEngine({ ...options, clock });
    onTestFinished(() => engine.dispose());
    return { ...engine.current(), clock, time };
  }

  it("forgets a message's id after the two minutes that the port promises, not before", async () => {
    const { queue, time } = await openAt();
    await queue.publish({ id: "a", body: "first" });
    time.nowMs = NOW_MS + 2 * MINUTE_MS - 1;
    await queue.sweep();
    await queue.publish({ id: "a", body: "duplicate" });
    expect((await queue.stats()).pending).toBe(1);
    time.nowMs = NOW_MS + 2 * MINUTE_MS;
    await queue.publish({ id: "a", body: "second" });
    expect((await pullCount(queue, 2)).map(bodyOf)).toEqual(["first", "second"]);
    await queue.sweep();
    // The window runs from the publish that stored the message.
    await queue.publish({ id: "a", body: "duplicate" });
    expect((await queue.stats()).pending).toBe(2);
  });

  it("counts exactly the bytes of the bodies that wait", async () => {
    const { queue } = await openAt({ queueMaxBytes: 100 });
    await queue.publish({ id: "a", body: "x".repeat(60) });
    await expect(queue.publish({ id: "b", body: "x".repeat(41) })).rejects.toThrow(QueueFullError);
    await queue.publish({ id: "c", body: "x".repeat(40) });
    expect(await queue.stats()).toMatchObject({ bytes: 100, limitBytes: 100 });
    await expect(queue.publish({ id: "d", body: "x" })).rejects.toThrow(QueueFullError);
    // A full queue still knows what it has: the retry of a publish whose answer was lost succeeds.
    await queue.publish({ id: "a", body: "x".repeat(60) });
    await queue.ack([only(await queue.pull(pullOf({ maxMessages: 1 })))]);
    expect((await queue.stats()).bytes).toBe(40);
  });

  it("does not let a worker whose lease has run out touch the lease of the next", async () => {
    const { queue } = await openAt({ ackWaitMs: 500 });
    await queue.publish({ id: "a", body: "a" });
    const first = only(await pullCount(queue, 1));
    const second = only(await queue.pull(pullOf()));
    expect(second.deliveries).toBe(2);
    // Had this given the message back, the pull would get it at once, long before the second lease ends.
    const startedMs = performance.now();
    await queue.extend([second]);
    await queue.nak([first], 0);
    const third = only(await queue.pull(pullOf()));
    expect(third.deliveries).toBe(3);
    expect(performance.now() - startedMs).toBeGreaterThan(400);
    // Nor does a late "still working" hold the message for a worker who has lost it.
    await queue.nak([third], 0);
    await queue.extend([first, second]);
    expect(only(await queue.pull(pullOf({ waitMs: 5_000 }))).deliveries).toBe(4);
  });

  it("keeps the age of dead letters from their arrival, and sweeps them when their days are over", async () => {
    const { queue, time } = await openAt({ deadLetterDays: 30 });
    const old = letterOf({ failedAtMs: NOW_MS - 365 * DAY_MS });
    await queue.deadLetters.add([old]);
    time.nowMs += 10 * DAY_MS;
    await queue.deadLetters.add(Array.from({ length: 1_200 }, () => letterOf({})));
    const page = () => queue.deadLetters.page({ filter: { ids: [old.id] }, before: null, limit: 10 });
    time.nowMs = NOW_MS + 30 * DAY_MS - 1;
    await queue.sweep();
    expect((await page()).deadLetters).toHaveLength(1);
    time.nowMs = NOW_MS + 30 * DAY_MS;
    // Hidden already, though no sweep has come by.
    expect((await page()).deadLetters).toEqual([]);
    await queue.sweep();
    expect(await queue.deadLetters.count()).toBe(1_200);
    time.nowMs += 10 * DAY_MS;
    await queue.sweep();
    expect(await queue.deadLetters.count()).toBe(0);
    await queue.deadLetters.add([old]);
    expect(await queue.deadLetters.count()).toBe(1);
  });

  it("lets an erasure take dead letters whose days are over and that no sweep has come by", async () => {
    const { queue, store, clock, time } = await openAt({ deadLetterDays: 30 });
    await queue.deadLetters.add([letterOf({ userId: "maria" }), letterOf({ userId: "ana" })]);
    time.nowMs += 31 * DAY_MS;
    const erasure = {
      id: "one",
      userId: "maria",
      requestedAtUs: (time.nowMs - DAY_MS) * 1_000,
      status: "WAITING_FOR_QUEUE",
      rowsDeleted: 0,
      finishedAtMs: null,
    } as const;
    await store.saveErasure(erasure);
    const logger = { info: () => undefined, warn: () => undefined } as unknown as Logger;
    const deps = { store, queue, clock, enqueuedWithinMs: 0, logger };
    await carryOutErasure(erasure, deps, new AbortController().signal);
    expect((await store.findErasure("one"))?.status).toBe("DONE");
    expect(await queue.deadLetters.count()).toBe(1);
  });

  it("writes nothing to the log, try after try, where another program goes on reading", async () => {
    const directory = createTemporaryDirectory();
    onTestFinished(() => directory.remove());
    const file = join(directory.path, "queue.sqlite");
    prepareDatabase(file, QUEUE_SCHEMA);
    const writing = openForWriting(file);
    writing.exec("INSERT INTO messages (bytes, published_at, body) VALUES (1, 1, zeroblob(100000))");
    const other = openForReading(file);
    other.exec("BEGIN; SELECT count(*) FROM messages");
    const logBytes = () => statSync(`${file}-wal`).size;
    const before = logBytes();
    expect([scrub(writing, Number.POSITIVE_INFINITY), logBytes()]).toEqual([false, before]);
    expect([scrub(writing, Number.POSITIVE_INFINITY), logBytes()]).toEqual([false, before]);
    other.close();
    expect([scrub(writing, Number.POSITIVE_INFINITY), logBytes()]).toEqual([true, 0]);
    writing.close();
  });

  it("finds few letters among many by going on where a page stopped looking", async () => {
    const { queue } = await openAt();
    const needle = letterOf({ failedAtMs: 1 });
    await queue.deadLetters.add([needle]);
    for (let batch = 0; batch < 5; batch++) {
      await queue.deadLetters.add(Array.from({ length: 1_000 }, () => letterOf({ failedAtMs: 2 })));
    }
    let pages = 0;
    const found: string[] = [];
    for (let before: number | null = null; ; pages++) {
      const page = await queue.deadLetters.page({ filter: { untilMs: 2 }, before, limit: 10 });
      found.push(...page.deadLetters.map(({ id }) => id));
      if (page.next === null) break;
      before = page.next;
    }
    expect(found).toEqual([needle.id]);
    expect(pages).toBeGreaterThan(0);
  });

  it("stops taking new messages at ten thousand in flight, and goes on when some are settled", async () => {
    const { queue } = await openAt();
    const inFlightMax = 10_000;
    await Promise.all(
      Array.from({ length: inFlightMax + 5 }, (_, index) =>
        queue.publish({ id: `m${index}`, body: `${index}` }),
      ),
    );
    const held = await pullCount(queue, inFlightMax);
    expect(await queue.pull(pullOf({ waitMs: BRIEF_MS }))).toEqual([]);
    const more = queue.pull(pullOf());
    await queue.ack(held.slice(0, 3));
    expect(await more).toHaveLength(3);
  });

  it("takes new messages however many were given back and wait for their delay", async () => {
    const { queue } = await openAt();
    const poison = Array.from({ length: 10_500 }, (_, index) => `poison ${index}`);
    await Promise.all(poison.map((body) => queue.publish({ id: body, body })));
    for (let given = 0; given < poison.length; ) {
      const deliveries = await queue.pull(pullOf({ maxMessages: 5_000, waitMs: 5_000 }));
      expect(deliveries).not.toEqual([]);
      await queue.nak(deliveries, 10 * MINUTE_MS);
      given += deliveries.length;
    }
    await queue.publish({ id: "healthy", body: "healthy" });
    expect((await queue.pull(pullOf({ waitMs: 5_000 }))).map(bodyOf)).toEqual(["healthy"]);
    expect(await queue.stats()).toMatchObject({ pending: 10_501, inFlight: 1 });
  });

  it.each([10, 1])("takes returned and new messages in turns, %i a pull", async (maxMessages) => {
    const { queue } = await openAt();
    await publishAll(queue, Array<string>(20).fill("returned"));
    await queue.nak(await pullCount(queue, 20), 0);
    await publishAll(queue, Array<string>(20).fill("new"));
    const bodies: string[] = [];
    for (let pulled = 0; pulled < 10; pulled += maxMessages) {
      const deliveries = await queue.pull(pullOf({ maxMessages }));
      bodies.push(...deliveries.map(bodyOf));
      // They come back at once, every time: the worst that they can do.
      await queue.nak(
        deliveries.filter((delivery) => bodyOf(delivery) === "returned"),
        0,
      );
    }
    expect(bodies.filter((body) => body === "new")).toHaveLength(5);
    expect(bodies.filter((body) => body === "returned")).toHaveLength(5);
  });

  it("takes nothing new once too many were given back, and goes on when one of them is settled", async () => {
    const { queue } = await openAt({ returnedMessagesMax: 10 });
    await publishAll(queue, Array<string>(12).fill("a"));
    const [first, ...others] = await pullCount(queue, 10);
    await queue.nak(others, 10 * MINUTE_MS);
    await queue.nak([first as Delivery], 0);
    const again = await queue.pull(pullOf());
    expect(again.map(({ sequence }) => sequence)).toEqual([first?.sequence]);
    await queue.nak(again, 0);
    await queue.ack(await queue.pull(pullOf()));
    expect(await queue.pull(pullOf())).toHaveLength(1);
  });

  it("takes a message that is larger than all that may wait for the disk, alone", async () => {
    const MIB = 1_024 * 1_024;
    const { queue } = await openAt({ queueMaxBytes: 256 * MIB });
    const large = "x".repeat(70 * MIB);
    const results = await Promise.allSettled([
      queue.publish({ id: "a", body: large }),
      queue.publish({ id: "b", body: large }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect((await queue.stats()).bytes).toBe(70 * MIB);
  });

  describe("a page of dead letters", () => {
    it("looks at so many letters and no more, also where their days are over and no sweep has come by", async () => {
      const { queue, time } = await openAt({ deadLetterDays: 30 });
      await queue.deadLetters.add(Array.from({ length: 5_000 }, () => letterOf({})));
      time.nowMs += 30 * DAY_MS;
      let pages = 0;
      for (let before: number | null = null; pages === 0 || before !== null; pages++) {
        const page = await queue.deadLetters.page({ filter: {}, before, limit: 10 });
        expect(page.deadLetters).toEqual([]);
        before = page.next;
      }
      expect(pages).toBe(3);
    });

    it("holds few letters where they are large, and all come all the same", async () => {
      const { queue } = await openAt();
      const letters = Array.from({ length: 60 }, () => letterOf({ detail: "x".repeat(250_000) }));
      await queue.deadLetters.add(letters);
      const found: string[] = [];
      let before: number | null = null;
      do {
        const page: DeadLetterPage = await queue.deadLetters.page({ filter: {}, before, limit: 100 });
        expect(page.deadLetters.length).toBeLessThanOrEqual(2);
        found.push(...page.deadLetters.map(({ id }) => id));
        before = page.next;
      } while (before !== null);
      expect(found).toEqual(letters.map(({ id }) => id).toReversed());
      await queue.deadLetters.add([letterOf({ id: "giant", detail: "x".repeat(5_000_000) })]);
      const [giant, ...others] = (await queue.deadLetters.page({ filter: {}, before, limit: 100 }))
        .deadLetters;
      expect([giant?.id, others.length]).toEqual(["giant", 0]);
    });

    it("reads a letter only where it matches", async () => {
      const { queue } = await openAt();
      const letters = Array.from({ length: 100 }, () => letterOf({ detail: "x".repeat(300_000) }));
      await queue.deadLetters.add(letters);
      const elapsedMs = async (filter: DeadLetterFilter) => {
        const startedMs = performance.now();
        let before: number | null = null;
        do before = (await queue.deadLetters.page({ filter, before, limit: 100 })).next;
        while (before !== null);
        return performance.now() - startedMs;
      };
      const readingMs = await elapsedMs({});
      const skipping: number[] = [];
      for (let attempt = 0; attempt < 5; attempt++) skipping.push(await elapsedMs({ untilMs: 1 }));
      expect(Math.min(...skipping)).toBeLessThan(readingMs / 10);
    });
  });
});
