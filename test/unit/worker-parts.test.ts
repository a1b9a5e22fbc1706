import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createInMemoryWorkerRegistry } from "../../src/embedded/worker-registry.ts";
import { StoreRefusedError, StoreUnavailableError } from "../../src/ports/errors.ts";
import type { Delivery } from "../../src/ports/impression-queue.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { createAckTracker } from "../../src/workers/ack-tracker.ts";
import { createAdaptiveLimit, createFifo, createRankedQueue } from "../../src/workers/adaptive-limit.ts";
import { createCircuitBreaker } from "../../src/workers/circuit-breaker.ts";
import {
  createIsolatedWrites,
  isolationStepOf,
  isPoisonCandidate,
} from "../../src/workers/poison-isolation.ts";
import { backoffMs, nakDelayMs, retryDecisionOf, writeWithin } from "../../src/workers/retry-decision.ts";
import { createSharedLock } from "../../src/workers/shared-lock.ts";

const delivery = (sequence: number): Delivery => ({
  sequence,
  body: Buffer.from(""),
  deliveries: 1,
  publishedAtMs: 0,
});

describe("the retry decision", () => {
  test("a failed write is retried for 20 s while the store is up, then its messages are nacked", () => {
    expect(retryDecisionOf(19_999, false)).toBe("RETRY");
    expect(retryDecisionOf(20_000, false)).toBe("NAK");
    expect(retryDecisionOf(0, true)).toBe("NAK");
  });

  test("delays are bounded and jittered", () => {
    expect(backoffMs(1, 1)).toBe(100);
    expect(backoffMs(50, 1)).toBe(5_000);
    expect(backoffMs(3, 0)).toBe(0);
    expect([1, 2, 3, 7, 1_000].map(nakDelayMs)).toEqual([5_000, 10_000, 20_000, 300_000, 300_000]);
  });
});

describe("a write that is waited for", () => {
  test("is given up after its time, with an error that says so", async () => {
    const never = () => new Promise<void>(() => undefined);
    await expect(writeWithin(1, never)).rejects.toThrow(
      new StoreUnavailableError("no answer to a write within 1 ms"),
    );
  });

  test("leaves no timer behind", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    await writeWithin(1_000, async () => undefined);
    await expect(writeWithin(1_000, () => Promise.reject(new Error("refused")))).rejects.toThrow("refused");
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("the ack tracker", () => {
  function trackerOf(deliveries: Delivery[]) {
    const acked: number[] = [];
    const nacked: number[] = [];
    const tracker = createAckTracker(deliveries, {
      ack: async (done) => void acked.push(...done.map(({ sequence }) => sequence)),
      nak: async (failed) => void nacked.push(...failed.map(({ sequence }) => sequence)),
    });
    return { acked, nacked, tracker };
  }

  test("a message is acknowledged with its last part, without waiting for the others", async () => {
    const [one, two] = [delivery(1), delivery(2)];
    const { acked, tracker } = trackerOf([one, two]);
    for (const part of [one, one, two]) tracker.expect(part);
    tracker.begin();
    tracker.succeeded(one);
    tracker.succeeded(one);
    await expect.poll(() => acked).toEqual([1]);
    expect(tracker.open()).toEqual([two]);
    tracker.succeeded(two);
    await tracker.drained();
    expect(acked).toEqual([1, 2]);
  });

  test("one failed part gives the whole message back, once all parts have ended", async () => {
    const one = delivery(1);
    const { acked, nacked, tracker } = trackerOf([one]);
    tracker.expect(one);
    tracker.expect(one);
    tracker.begin();
    tracker.failed(one);
    expect(tracker.open()).toEqual([one]);
    tracker.succeeded(one);
    await tracker.drained();
    expect([acked, nacked]).toEqual([[], [1]]);
  });

  test("an open message is nacked once, whatever becomes of its parts afterwards", async () => {
    const [one, two] = [delivery(1), delivery(2)];
    const { acked, nacked, tracker } = trackerOf([one, two]);
    for (const part of [one, two]) tracker.expect(part);
    tracker.begin();
    tracker.succeeded(one);
    tracker.nakOpen();
    tracker.succeeded(two);
    await tracker.drained();
    expect([acked, nacked]).toEqual([[1], [2]]);
  });

  test("a message with nothing to store is acknowledged at once", async () => {
    const { acked, tracker } = trackerOf([delivery(9)]);
    tracker.begin();
    await tracker.drained();
    expect(acked).toEqual([9]);
  });
});

describe("the calls of the ack tracker", () => {
  /** A queue whose answers the test gives by hand. */
  function callsOf(deliveries: Delivery[]) {
    const calls: {
      readonly name: string;
      readonly sequences: number[];
      readonly answer: PromiseWithResolvers<void>;
    }[] = [];
    const call = (name: string) => (some: Delivery[]) => {
      const answer = Promise.withResolvers<void>();
      calls.push({ name, sequences: some.map(({ sequence }) => sequence), answer });
      return answer.promise;
    };
    return { calls, tracker: createAckTracker(deliveries, { ack: call("ack"), nak: call("nak") }) };
  }
  const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

  test("are one for all messages that end in a turn, and none for none", async () => {
    const [one, two, three, four] = [1, 2, 3, 4].map(delivery) as [Delivery, Delivery, Delivery, Delivery];
    const { calls, tracker } = callsOf([one, two, three, four]);
    for (const part of [one, two, three, four]) tracker.expect(part);
    tracker.begin();
    tracker.succeeded(one);
    tracker.succeeded(two);
    await nextTurn();
    expect(calls.map(({ name, sequences }) => [name, sequences])).toEqual([["ack", [1, 2]]]);
    tracker.failed(three);
    await nextTurn();
    tracker.succeeded(four);
    await nextTurn();
    expect(calls.slice(1).map(({ name, sequences }) => [name, sequences])).toEqual([
      ["nak", [3]],
      ["ack", [4]],
    ]);
  });

  test("are all waited for, also those of earlier turns, and an error of one is an error of the end", async () => {
    const [one, two] = [delivery(1), delivery(2)];
    const { calls, tracker } = callsOf([one, two]);
    for (const part of [one, two]) tracker.expect(part);
    tracker.begin();
    tracker.succeeded(one);
    await nextTurn();
    tracker.succeeded(two);
    await nextTurn();
    let isDrained = false;
    const drained = tracker.drained().finally(() => {
      isDrained = true;
    });
    calls[1]?.answer.resolve();
    await nextTurn();
    expect(isDrained).toBe(false);
    calls[0]?.answer.reject(new Error("no answer"));
    await expect(drained).rejects.toThrow("no answer");
  });

  test("are none where there is no message, and that is the end", async () => {
    const { calls, tracker } = callsOf([]);
    tracker.begin();
    await tracker.drained();
    expect(calls).toEqual([]);
  });

  test("know nothing of messages of another pull", async () => {
    const { calls, tracker } = callsOf([]);
    const other = delivery(9);
    tracker.expect(other);
    tracker.succeeded(other);
    await nextTurn();
    expect(calls).toEqual([]);
  });
});

describe("concurrency limit", () => {
  const settings = { min: 2, max: 64, lock: createSharedLock() };

  test("never runs more than its limit at once and starts in order", async () => {
    const limit = createAdaptiveLimit({
      min: 1,
      max: 3,
      monotonicMs: () => 0,
      lock: createSharedLock(),
    });
    let running = 0;
    let most = 0;
    const started: number[] = [];
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        limit.run(async () => {
          started.push(index);
          most = Math.max(most, ++running);
          await new Promise((resolve) => setImmediate(resolve));
          running--;
        }),
      ),
    );
    expect(most).toBe(3);
    expect(started).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  test("gives slots to the lowest rank that waits, and among equals in order", async () => {
    const limit = createAdaptiveLimit({ ...settings, min: 1, max: 1, monotonicMs: () => 0 });
    const started: string[] = [];
    const run = (name: string, rank?: number) => limit.run(async () => void started.push(name), rank);
    expect(limit.isBusy()).toBe(false);
    const running = [run("first", 9), run("5 a", 5), run("7", 7), run("3", 3), run("5 b", 5), run("0")];
    expect(limit.isBusy()).toBe(true);
    await Promise.all(running);
    expect(started).toEqual(["first", "0", "3", "5 a", "5 b", "7"]);
    expect(limit.isBusy()).toBe(false);
  });

  test("grows by one after a full round of fast writes, up to the maximum", async () => {
    const limit = createAdaptiveLimit({ ...settings, monotonicMs: () => 0 });
    const round = () =>
      Promise.all(Array.from({ length: 2 * limit.current() }, () => limit.run(async () => undefined)));
    const before = limit.current();
    await round();
    expect(limit.current()).toBeGreaterThan(before);
    for (let rounds = 0; rounds < 100; rounds++) await round();
    expect(limit.current()).toBe(settings.max);
  });

  test("does not grow while slots are idle", async () => {
    const limit = createAdaptiveLimit({ ...settings, monotonicMs: () => 0 });
    const before = limit.current();
    for (let writes = 0; writes < 500; writes++) await limit.run(async () => undefined);
    expect(limit.current()).toBe(before);
  });

  test("a row that the store refuses says nothing about its load", async () => {
    const limit = createAdaptiveLimit({ ...settings, monotonicMs: () => 0 });
    const before = limit.current();
    await limit.run(() => Promise.reject(new StoreRefusedError("row"))).catch(() => undefined);
    expect(limit.current()).toBe(before);
  });

  test("a slow or failed write cuts it by 30 %, once in half a second, down to the minimum", async () => {
    let nowMs = 0;
    const limit = createAdaptiveLimit({ ...settings, monotonicMs: () => nowMs });
    const fail = () => limit.run(() => Promise.reject(new Error("slow"))).catch(() => undefined);
    await Promise.all([fail(), fail(), fail()]);
    expect(limit.current()).toBe(22);
    nowMs += 500;
    await limit.run(async () => {
      nowMs += 251;
    });
    expect(limit.current()).toBe(15);
    for (let cuts = 0; cuts < 20; cuts++) {
      nowMs += 500;
      await fail();
    }
    expect(limit.current()).toBe(settings.min);
  });
});

describe("the circuit breaker", () => {
  test("opens after ten failures in a row, probes until the store answers, and closes", async () => {
    const probes = [false, false, true];
    const delays: number[] = [];
    const changes: boolean[] = [];
    const breaker = createCircuitBreaker({
      probe: async () => probes.shift() ?? true,
      sleep: async (delayMs) => void delays.push(delayMs),
      random: () => 1,
      onChange: (open) => changes.push(open),
    });
    const { signal } = new AbortController();
    const fail = () => breaker.failed(new StoreUnavailableError("down"));
    for (let failures = 0; failures < 9; failures++) fail();
    breaker.succeeded();
    for (let failures = 0; failures < 9; failures++) fail();
    expect(breaker.isOpen()).toBe(false);
    fail();
    expect(breaker.isOpen()).toBe(true);
    await breaker.closed(signal);
    expect(breaker.isOpen()).toBe(false);
    expect(delays).toEqual([500, 1_000, 2_000]);
    expect(changes).toEqual([true, false]);
  });

  test("counts a failed request once, however many writes it was made of", () => {
    const breaker = createCircuitBreaker({
      probe: async () => true,
      sleep: async () => undefined,
      random: () => 1,
      onChange: () => undefined,
    });
    for (let request = 0; request < 9; request++) {
      const error = new StoreUnavailableError("timed out");
      for (let write = 0; write < 10; write++) breaker.failed(error);
    }
    expect(breaker.isOpen()).toBe(false);
    breaker.failed(new StoreUnavailableError("timed out"));
    expect(breaker.isOpen()).toBe(true);
  });
});

describe("poison-message isolation", () => {
  test("begins with the sixth delivery", () => {
    expect([1, 5, 6, 100].map((deliveries) => isPoisonCandidate({ deliveries }))).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });

  test("attempts a message until three other workers died of it, then dead-letters it, unread if that kills, too", () => {
    const steps = [[], ["a"], ["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d"]].map((deaths) =>
      isolationStepOf(deaths, "self"),
    );
    expect(steps).toEqual(["TRY", "TRY", "TRY", "DEAD_LETTER_EACH", "DEAD_LETTER_WHOLE"]);
    // A worker that asks is alive.
    expect(isolationStepOf(["a", "self", "b"], "self")).toBe("TRY");
    expect(isolationStepOf(["a", "self", "b", "c"], "self")).toBe("DEAD_LETTER_EACH");
  });
});

describe("the writes of an isolated attempt", () => {
  test("share no request with others, and are not begun where the partition is in trouble", async () => {
    const written: unknown[] = [];
    const once = createIsolatedWrites({
      limit: { run: (write) => write() },
      isUnhealthy: (partition) => partition === "viewers unhealthy",
      breaker: { failed: () => undefined },
      writeTimeoutMs: 60_000,
      logger: createLogger("silent"),
    });
    const write = (partition: string) =>
      once.write(partition, async (options) => void written.push([partition, options]), 0);
    expect(await write("viewers well")).toEqual({ kind: "stored" });
    expect(await write("viewers unhealthy")).toEqual({ kind: "unavailable" });
    expect(written).toEqual([["viewers well", { uncoalesced: true }]]);
  });
});

describe("in-memory worker registry", () => {
  test("shows each worker's newest report and drops one that is silent for 15 s", () => {
    let nowMs = 0;
    const registry = createInMemoryWorkerRegistry({ monotonicMs: () => nowMs });
    const report = { state: "IDLE", impressionsStored: 0, concurrency: 1, storeHealthy: true } as const;
    registry.report({ ...report, id: "a" });
    nowMs = 10_000;
    registry.report({ ...report, id: "b", impressionsStored: 1 });
    registry.report({ ...report, id: "b", impressionsStored: 2 });
    expect(registry.current().map(({ id, impressionsStored }) => [id, impressionsStored])).toEqual([
      ["a", 0],
      ["b", 2],
    ]);
    nowMs = 15_001;
    expect(registry.current().map(({ id }) => id)).toEqual(["b"]);
  });
});

describe("writes that wait for a slot", () => {
  test("is taken in the order in which it came, whatever lies between", () => {
    const fifo = createFifo<number>();
    let pushed = 0;
    let taken = 0;
    for (const [add, remove] of [
      [3, 1],
      [5_000, 4_000],
      [1, 1_002],
      [0, 1],
      [2_500, 2_400],
      [7, 200],
    ] as const) {
      for (let count = 0; count < add; count++) fifo.push(pushed++);
      for (let count = 0; count < remove; count++) {
        const item = fifo.take();
        expect(item).toBe(taken < pushed ? taken++ : undefined);
      }
      expect(fifo.size()).toBe(pushed - taken);
    }
    expect(fifo.take()).toBeUndefined();
  });

  test("is taken by rank where it has one, whatever the order in which ranks come and go", () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer({ min: -3, max: 6 }), { freq: 2, nil: null })), (steps) => {
        const queue = createRankedQueue<{ readonly rank: number; readonly number: number }>();
        const waiting: { readonly rank: number; readonly number: number }[] = [];
        for (const [number, rank] of steps.entries()) {
          if (rank === null) {
            const [first] = waiting.toSorted((a, b) => a.rank - b.rank || a.number - b.number);
            expect(queue.take()).toBe(first);
            if (first !== undefined) waiting.splice(waiting.indexOf(first), 1);
          } else {
            const item = { rank, number };
            queue.push(item, rank);
            waiting.push(item);
          }
          expect(queue.size()).toBe(waiting.length);
        }
      }),
    );
  });
});
