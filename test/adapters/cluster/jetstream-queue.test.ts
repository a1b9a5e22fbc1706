import { connect, type JetStreamManager } from "nats";
import { describe, expect, inject, it, onTestFinished, vi } from "vitest";
import { systemClock } from "../../../src/domain/time.ts";
import { namesOf } from "../../../src/jetstream/names.ts";
import type { JetStreamOptions } from "../../../src/jetstream/open.ts";
import { QueueUnavailableError } from "../../../src/ports/errors.ts";
import type { Delivery, ImpressionQueue } from "../../../src/ports/impression-queue.ts";
import { letterOf } from "../../contract/queue/dead-letters.ts";
import {
  ACK_WAIT_LONG_MS,
  bodyOf,
  only,
  publishAll,
  pullCount,
  pullOf,
} from "../../contract/queue/fixture.ts";
import { queueContract } from "../../contract/queue/index.ts";
import type {} from "../../servers/global-setup.ts";
import { jetStreamOptions, openTemporaryJetStream, recordLog } from "../../support/jetstream.ts";

queueContract({
  name: "jetstream",
  async open(limits) {
    const opened = await openTemporaryJetStream(limits);
    return {
      queue: opened.current().queue,
      reopen: async () => (await opened.reopen()).queue,
      dispose: () => opened.dispose(),
    };
  },
});

const MIB = 1_024 * 1_024;

/** A queue, and the server as an operator's tools see it. */
async function openWithManager(given: Partial<JetStreamOptions> = {}) {
  const { lines, logger } = recordLog();
  const options = jetStreamOptions({ logger, ...given });
  const opened = await openTemporaryJetStream(options);
  onTestFinished(() => opened.dispose());
  const client = await connect({ servers: inject("natsServers") });
  onTestFinished(() => client.close());
  const manager = await client.jetstreamManager();
  return {
    opened,
    queue: opened.current().queue,
    options,
    client,
    manager,
    names: namesOf(options.namespace),
    lines,
  };
}

/** Waits until the server holds that many requests for messages. */
async function waitingPulls(
  manager: JetStreamManager,
  options: JetStreamOptions,
  count: number,
): Promise<void> {
  const { stream, consumer } = namesOf(options.namespace);
  await vi.waitFor(
    async () => expect((await manager.consumers.info(stream, consumer)).num_waiting).toBe(count),
    { timeout: 60_000, interval: 10 },
  );
}

describe("a pull from JetStream", () => {
  it("takes a deep backlog 500 at a time", async () => {
    const { queue } = await openWithManager();
    await Promise.all(
      Array.from({ length: 1_500 }, (_, index) => queue.publish({ id: `${index}`, body: "a" })),
    );
    const sizes: number[] = [];
    for (let pull = 0; pull < 3; pull++) {
      const deliveries = await queue.pull(pullOf({ maxMessages: 500 }));
      sizes.push(deliveries.length);
      await queue.ack(deliveries);
    }
    expect(sizes).toEqual([500, 500, 500]);
  });

  it("hands over a message that comes while it waits at once", async () => {
    const { queue, manager, options } = await openWithManager();
    const delays: number[] = [];
    for (let round = 0; round < 20; round++) {
      const pulled = queue
        .pull(pullOf({ maxMessages: 500 }))
        .then((deliveries) => ({ deliveries, atMs: performance.now() }));
      await waitingPulls(manager, options, 1);
      await publishAll(queue, ["a"]);
      const publishedMs = performance.now();
      const { deliveries, atMs } = await pulled;
      delays.push(atMs - publishedMs);
      await queue.ack(deliveries);
    }
    // Measured: 0.1 ms. A pull that waited for more messages, or for its time to end, would take 1,000.
    expect(delays.sort((a, b) => a - b)[10]).toBeLessThan(100);
  });

  it("goes on waiting beyond one request to the server", async () => {
    const { queue } = await openWithManager();
    const startedMs = performance.now();
    expect(await queue.pull(pullOf({ waitMs: 2_500 }))).toEqual([]);
    expect(performance.now() - startedMs).toBeGreaterThan(2_400);
  });

  it("leaves nothing at the server when it is aborted while it waits", async () => {
    const { queue, manager, options } = await openWithManager();
    const controller = new AbortController();
    const pulled = queue.pull(pullOf({ signal: controller.signal }));
    await waitingPulls(manager, options, 1);
    controller.abort();
    expect(await pulled).toEqual([]);
    await waitingPulls(manager, options, 0);
  });

  it("gives back at once what comes when it is aborted under traffic", async () => {
    const { queue } = await openWithManager({ ackWaitMs: ACK_WAIT_LONG_MS });
    const count = 2_000;
    const publishing = (async () => {
      for (let index = 0; index < count; index++) await queue.publish({ id: `${index}`, body: `${index}` });
    })();
    const seen = new Set<number>();
    let aborts = 0;
    while (seen.size < count) {
      const controller = new AbortController();
      const pulled = queue.pull(pullOf({ maxMessages: 20, waitMs: 5_000, signal: controller.signal }));
      if (aborts < 500) {
        aborts++;
        setTimeout(() => controller.abort(), aborts % 5);
      }
      const deliveries = await pulled;
      for (const { sequence } of deliveries) seen.add(sequence);
      await queue.ack(deliveries);
    }
    await publishing;
    expect((await queue.stats()).pending).toBe(0);
  });

  it("does not keep others from a message by a nak that comes too late", async () => {
    const { queue } = await openWithManager({ ackWaitMs: 6_000 });
    await publishAll(queue, ["a"]);
    const first = await pullCount(queue, 1);
    const second = only(await queue.pull(pullOf()));
    await queue.nak(first, 0);
    // Its second holder still has it.
    expect(await queue.pull(pullOf({ waitMs: 400 }))).toEqual([]);
    await queue.ack([second]);
  });

  it("refuses a delivery that is not its own", async () => {
    const { queue } = await openWithManager();
    const foreign: Delivery = { sequence: 1, body: new Uint8Array(), deliveries: 1, publishedAtMs: 0 };
    await expect(queue.ack([foreign])).rejects.toThrow(TypeError);
  });

  it("waits no longer than asked where every message is in other hands", async () => {
    const { queue, manager, names } = await openWithManager();
    await manager.consumers.update(names.stream, names.consumer, { max_ack_pending: 3 });
    await publishAll(queue, ["a", "b", "c", "d", "e"]);
    const held = await pullCount(queue, 3);
    expect(await queue.pull(pullOf({ waitMs: 400 }))).toEqual([]);
    const waiting = queue.pull(pullOf());
    await queue.ack(held);
    expect((await waiting).length).toBeGreaterThan(0);
  });
});

describe("a queue whose consumer or stream is taken away", () => {
  it("makes the consumer anew, says so, and delivers what was not settled", async () => {
    const { queue, manager, names, lines, options } = await openWithManager();
    await publishAll(queue, ["a", "b"]);
    const [a] = await pullCount(queue, 2);
    await queue.ack([a as Delivery]);
    const waiting = queue.pull(pullOf());
    await waitingPulls(manager, options, 1);
    await manager.consumers.delete(names.stream, names.consumer);
    expect((await waiting).map(bodyOf)).toEqual(["b"]);
    expect(lines.filter((line) => line.startsWith("error the consumer was deleted"))).toHaveLength(1);
    expect(await queue.health()).toEqual({ healthy: true });
  });

  it("makes the consumer anew once, however many pull", async () => {
    const { queue, manager, names, lines } = await openWithManager();
    await manager.consumers.delete(names.stream, names.consumer);
    const pulls = Array.from({ length: 8 }, () => queue.pull(pullOf({ maxMessages: 1 })));
    await publishAll(queue, ["a", "b", "c", "d", "e", "f", "g", "h"]);
    const bodies = (await Promise.all(pulls)).map((deliveries) => bodyOf(only(deliveries)));
    expect(new Set(bodies).size).toBe(8);
    expect(lines.filter((line) => line.startsWith("error the consumer was deleted"))).toHaveLength(1);
    const statistics = await queue.stats();
    expect(statistics).toMatchObject({ pending: 8, inFlight: 8 });
  });

  it("says loudly that the stream is gone, and goes on once it is made anew", async () => {
    const { opened, queue, manager, names, lines } = await openWithManager();
    await publishAll(queue, ["a"]);
    await manager.streams.delete(names.stream);

    expect(await queue.health()).toMatchObject({
      healthy: false,
      reason: expect.stringContaining(`the stream ${names.stream} does not exist any more`),
    });
    await expect(queue.publish({ id: "1", body: "b" })).rejects.toThrow(QueueUnavailableError);
    await expect(queue.pull(pullOf())).rejects.toThrow(QueueUnavailableError);
    await expect(queue.stats()).rejects.toThrow(QueueUnavailableError);
    expect(lines.filter((line) => line.startsWith("error the stream"))).toHaveLength(1);
    // Only a start creates a stream: a new one would block a restore.
    await expect(manager.streams.info(names.stream)).rejects.toThrow("stream not found");

    await opened.reopenBeside();
    expect(await queue.health()).toEqual({ healthy: true });
    await publishAll(queue, ["c"]);
    expect((await pullCount(queue, 1)).map(bodyOf)).toEqual(["c"]);
  });
});

describe("dead letters in JetStream", () => {
  it("stay one for an id, also under another reason and when the duplicate window is over", async () => {
    const { queue, manager, names } = await openWithManager();
    await manager.streams.update(names.deadLetterStream, { duplicate_window: 100_000_000 });
    const letter = letterOf({ reason: "INVALID_FIELD", detail: "first" });
    await queue.deadLetters.add([letter]);
    const { state } = await manager.streams.info(names.deadLetterStream);
    // The window forgets an id only when it is over and another message comes.
    await vi.waitFor(
      async () => {
        await queue.deadLetters.add([letterOf({})]);
        await queue.deadLetters.add([letter]);
        await queue.deadLetters.add([{ ...letter, reason: "CRASHED_WORKER", detail: "second" }]);
        expect((await manager.streams.info(names.deadLetterStream)).state.last_seq).toBeGreaterThan(
          state.last_seq + 3,
        );
      },
      { timeout: 10_000, interval: 100 },
    );
    const { deadLetters: letters } = await queue.deadLetters.page({
      filter: { ids: [letter.id] },
      before: null,
      limit: 10,
    });
    expect(letters.map(({ detail }) => detail)).toEqual(["first"]);
    const { deadLetters: all } = await queue.deadLetters.page({ filter: {}, before: null, limit: 100 });
    expect(all.filter(({ id }) => id === letter.id)).toHaveLength(1);
  });

  it("can be added again as soon as they are removed", async () => {
    const { queue } = await openWithManager();
    const letter = letterOf({});
    for (let round = 0; round < 3; round++) {
      await queue.deadLetters.add([letter]);
      expect(await queue.deadLetters.count()).toBe(1);
      expect(await queue.deadLetters.remove([letter.id])).toBe(1);
      expect(await queue.deadLetters.count()).toBe(0);
    }
  });

  it("of one call are stored all or none when there is no room", async () => {
    const { queue } = await openWithManager({ deadLetterMaxBytes: MIB });
    const detail = "x".repeat(100_000);
    const first = Array.from({ length: 4 }, () => letterOf({ detail }));
    await queue.deadLetters.add(first);
    const tooMany = Array.from({ length: 10 }, () => letterOf({ detail }));
    await expect(queue.deadLetters.add([...first, ...tooMany])).rejects.toThrow("is full");
    expect(await queue.deadLetters.count()).toBe(4);
    // Those of the refused call that were stored for a moment are not taken for stored now.
    await queue.deadLetters.add(tooMany.slice(0, 4));
    expect(await queue.deadLetters.count()).toBe(8);
  });

  it("are found across any gap of removed ones, in any page size", async () => {
    const { queue } = await openWithManager();
    const added = Array.from({ length: 3_000 }, (_, index) => letterOf({ id: `letter${index}` }));
    await queue.deadLetters.add(added);
    const kept = new Set([0, 1, 700, 701, 2_100, 2_998]);
    await queue.deadLetters.remove(added.filter((_, index) => !kept.has(index)).map(({ id }) => id));
    const expected = [...kept].sort((a, b) => b - a).map((index) => `letter${index}`);
    for (const limit of [1, 4, 100]) {
      const found: string[] = [];
      let before: number | null = null;
      do {
        const page = await queue.deadLetters.page({ filter: {}, before, limit });
        found.push(...page.deadLetters.map(({ id }) => id));
        before = page.next;
      } while (before !== null);
      expect(found).toEqual(expected);
    }
  });

  it("do not take an id for a pattern", async () => {
    const { queue } = await openWithManager();
    await queue.deadLetters.add([letterOf({ id: "abc" }), letterOf({ id: "a b.c > *" })]);
    expect(await queue.deadLetters.remove(["*", ">", "a*", "abc.x", "", "a b.c"])).toBe(0);
    expect(await queue.deadLetters.count()).toBe(2);
    expect(await queue.deadLetters.remove(["a b.c > *"])).toBe(1);
  });

  it("pass over what is none", async () => {
    const { queue, client, names } = await openWithManager();
    const letter = letterOf({});
    await queue.deadLetters.add([letter]);
    const jetstream = client.jetstream();
    for (const [index, text] of ["", "no JSON", "null", "{}"].entries()) {
      await jetstream.publish(`${names.deadLetterPrefix}.INVALID_FIELD.foreign${index}`, text);
    }
    const { deadLetters: letters } = await queue.deadLetters.page({ filter: {}, before: null, limit: 10 });
    expect(letters.map(({ id }) => id)).toEqual([letter.id]);
    expect(await queue.deadLetters.remove(["foreign0", "foreign1", "foreign2", "foreign3"])).toBe(4);
  });

  it("are kept also where an unreadable message fills the largest payload", async () => {
    const { queue } = await openWithManager();
    const text = Buffer.from('{"v":2,"x":"abc"}'.repeat(60_000));
    const noise = crypto.getRandomValues(new Uint8Array(60_000));
    const incompressible = Buffer.concat(
      Array.from({ length: 17 }, () => crypto.getRandomValues(new Uint8Array(61_680))),
    );
    expect(text.byteLength).toBeGreaterThan(0.95 * MIB);
    const letters = [text, Buffer.from(noise), incompressible].map((bytes, index) =>
      letterOf({
        id: `large${index}`,
        reason: "UNREADABLE_MESSAGE",
        userId: null,
        receivedAtUs: null,
        payload: { base64: bytes.toString("base64") },
      }),
    );
    for (const letter of letters) await queue.deadLetters.add([letter]);
    const page = await queue.deadLetters.page({ filter: {}, before: null, limit: 10 });
    const [third, second, first] = page.deadLetters.map(({ sequence, ...letter }) => letter);
    expect(first).toEqual(letters[0]);
    expect(second).toEqual(letters[1]);
    // A value that does not fit is cut, and says so.
    expect(third?.detail).toContain("the end of the payload is cut off");
    const kept =
      third !== undefined && "base64" in third.payload ? Buffer.from(third.payload.base64, "base64") : null;
    expect(kept?.byteLength).toBeGreaterThan(0.7 * MIB);
    expect(kept?.equals(incompressible.subarray(0, kept.byteLength))).toBe(true);
  });
});

describe("the worker registry", () => {
  const report = {
    id: "host.example-1-1",
    state: "WORKING",
    impressionsStored: 7,
    concurrency: 32,
    storeHealthy: true,
  } as const;

  it("tells every process what each worker reported, until it falls silent", async () => {
    let silentMs = 0;
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + silentMs };
    const { opened } = await openWithManager({ clock });
    const one = opened.current().workerRegistry;
    const other = (await opened.reopenBeside()).workerRegistry;
    expect(other.current()).toEqual([]);
    await vi.waitFor(
      () => {
        // Again and again, as workers do: nothing is kept for who listens only later.
        one.report(report);
        expect(other.current()).toEqual([report]);
      },
      { timeout: 10_000 },
    );
    expect(one.current()).toEqual([report]);
    one.report({ ...report, state: "IDLE", impressionsStored: 8 });
    one.report({ ...report, id: "second worker > *" });
    await vi.waitFor(() => expect(other.current()).toHaveLength(2), { timeout: 10_000 });
    expect(other.current()[0]).toMatchObject({ state: "IDLE", impressionsStored: 8 });
    silentMs = 15_001;
    expect(other.current()).toEqual([]);
    expect(one.current()).toEqual([]);
  });

  it("passes over what is no report", async () => {
    const { opened, client, names } = await openWithManager();
    const registry = opened.current().workerRegistry;
    const garbage = ["", "5", "null", "[]", "{}", JSON.stringify({ ...report, id: "a", state: "DANCING" })];
    garbage.push(
      JSON.stringify({ ...report, id: "b", concurrency: "32" }),
      JSON.stringify({ ...report, id: "x".repeat(10_000) }),
    );
    for (const text of garbage) client.publish(`${names.statusPrefix}.x`, text);
    client.publish(`${names.statusPrefix}.x`, JSON.stringify({ ...report, extra: { large: true } }));
    await vi.waitFor(() => expect(registry.current()).toEqual([report]), { timeout: 10_000 });
  });

  it("remembers so many workers, those heard of last: any client may publish reports", async () => {
    const { opened, client, names } = await openWithManager();
    const registry = opened.current().workerRegistry;
    for (let worker = 1; worker <= 4_200; worker++)
      client.publish(`${names.statusPrefix}.x`, JSON.stringify({ ...report, id: `w${worker}` }));
    await vi.waitFor(() => expect(registry.current().at(-1)?.id).toBe("w4200"), { timeout: 60_000 });
    expect(registry.current()).toHaveLength(4_096);
    expect(registry.current()[0]?.id).toBe("w105");
  });

  it("does not throw without a connection", async () => {
    const { opened } = await openWithManager();
    const { workerRegistry, close } = opened.current();
    await close();
    workerRegistry.report(report);
    expect(workerRegistry.current()).toEqual([report]);
  });
});

describe("attempt records in JetStream", () => {
  it("are a bucket that any NATS tool reads, and that is created again after a deletion", async () => {
    const { queue, client, manager, names, lines } = await openWithManager();
    await queue.attempts.write(7, ["one", "two"]);
    await queue.attempts.write(8, ["three"]);
    await queue.attempts.write(8, []);
    const bucket = await client.jetstream().views.kv(names.attemptsStream.replace(/^KV_/, ""));
    expect((await bucket.get("7"))?.json()).toEqual(["one", "two"]);
    expect((await bucket.get("8"))?.operation).toBe("DEL");

    await manager.streams.delete(names.attemptsStream);
    expect(await queue.attempts.read(7)).toEqual([]);
    await manager.streams.delete(names.attemptsStream);
    await queue.attempts.write(7, ["four"]);
    expect(await queue.attempts.read(7)).toEqual(["four"]);
    expect(lines.filter((line) => line.includes("made it anew"))).toHaveLength(2);
  });

  it("drop the oldest when the bucket is full, and take the new ones", async () => {
    const { queue, manager, names } = await openWithManager();
    await manager.streams.update(names.attemptsStream, { max_bytes: 10_000 });
    const worker = "x".repeat(1_000);
    for (let sequence = 1; sequence <= 20; sequence++) await queue.attempts.write(sequence, [worker]);
    expect(await queue.attempts.read(1)).toEqual([]);
    expect(await queue.attempts.read(20)).toEqual([worker]);
  });
});

describe("closing", () => {
  it("takes no message along that comes meanwhile", async () => {
    const { opened, queue } = await openWithManager({ ackWaitMs: ACK_WAIT_LONG_MS });
    for (let round = 0; round < 5; round++) {
      const other = (await opened.reopenBeside()).queue;
      const pulls = Array.from({ length: 5 }, () => other.pull(pullOf()));
      const closed = other.close();
      const late = other.pull(pullOf()).catch((error: unknown) => error);
      await publishAll(queue, ["a", "b", "c", "d", "e"]);
      expect(await Promise.all(pulls)).toEqual([[], [], [], [], []]);
      expect(await late).toBeInstanceOf(QueueUnavailableError);
      await closed;
      await queue.ack(await pullCount(queue, 5));
    }
  });

  it("does not wait for a pull's time, and leaves no request at the server", async () => {
    const { opened, queue, manager, options } = await openWithManager();
    const pulled = queue.pull(pullOf()).catch((error: unknown) => error);
    await waitingPulls(manager, options, 1);
    const startedMs = performance.now();
    await opened.current().close();
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    await pulled;
    await waitingPulls(manager, options, 0);
  });

  it("refuses later messages also from the dead letters", async () => {
    const { queue } = await openWithManager();
    await queue.close();
    const calls: ((queue: ImpressionQueue) => Promise<unknown>)[] = [
      ({ deadLetters }) => deadLetters.add([letterOf({})]),
      ({ deadLetters }) => deadLetters.page({ filter: {}, before: null, limit: 1 }),
      ({ deadLetters }) => deadLetters.remove(["a"]),
      ({ deadLetters }) => deadLetters.count(),
    ];
    for (const call of calls) await expect(call(queue)).rejects.toThrow(QueueUnavailableError);
  });
});
