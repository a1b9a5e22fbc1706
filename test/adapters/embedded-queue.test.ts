import { describe, expect, it, onTestFinished } from "vitest";
import { DAY_MS, systemClock } from "../../src/domain/time.ts";
import type { EmbeddedEngineOptions } from "../../src/embedded/engine.ts";
import { QueueFullError } from "../../src/ports/errors.ts";
import { letterOf } from "../contract/queue/dead-letters.ts";
import { BRIEF_MS, bodyOf, only, pullCount, pullOf } from "../contract/queue/fixture.ts";
import { queueContract } from "../contract/queue/index.ts";
import { openTemporaryEngine } from "../support/embedded.ts";

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
    const clock = { nowMs: () => time.nowMs };
    const time = { nowMs: NOW_MS };
    const engine = await openTemporaryEngine({ ...options, clock });
    onTestFinished(() => engine.dispose());
    return { queue: engine.current().queue, time };
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
    expect((await page()).letters).toHaveLength(1);
    time.nowMs = NOW_MS + 30 * DAY_MS;
    // Hidden already, though no sweep has come by.
    expect((await page()).letters).toEqual([]);
    await queue.sweep();
    expect(await queue.deadLetters.count()).toBe(1_200);
    time.nowMs += 10 * DAY_MS;
    await queue.sweep();
    expect(await queue.deadLetters.count()).toBe(0);
    await queue.deadLetters.add([old]);
    expect(await queue.deadLetters.count()).toBe(1);
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
      found.push(...page.letters.map(({ id }) => id));
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
});
