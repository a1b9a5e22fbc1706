import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { StoreUnavailableError } from "../../src/ports/errors.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { createAdaptiveLimit } from "../../src/workers/adaptive-limit.ts";
import { createPartitionQueues } from "../../src/workers/partition-queues.ts";
import { createSharedLock } from "../../src/workers/shared-lock.ts";

/** From here on a write makes its queue unhealthy (`partition-queues.ts`). */
const SICK_WRITE_MS = 1_000;
const WRITE_TIMEOUT_MS = 8_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A partition's queue in virtual time, beside the model of what runs in it. */
function openQueue(options: { readonly slots: number }) {
  const monotonicMs = () => Date.now();
  const lock = createSharedLock();
  const limit = createAdaptiveLimit({ min: options.slots, max: options.slots, monotonicMs, lock });
  const queues = createPartitionQueues({
    limit,
    breaker: { failed: () => undefined, isOpen: () => false },
    writeTimeoutMs: WRITE_TIMEOUT_MS,
    monotonicMs,
    random: () => 0.5,
    logger: createLogger("silent"),
  });
  const partition = "viewers post";
  const running = new Map<symbol, number>();
  const overlaps: string[] = [];

  const isHanging = () => [...running.values()].some((sinceMs) => Date.now() - sinceMs > SICK_WRITE_MS);

  /** One that takes so long, each time that it is tried, and fails until its last time. */
  async function write(durationsMs: readonly number[]): Promise<void> {
    const left = [...durationsMs];
    await queues.write(
      partition,
      async () => {
        if (queues.isUnhealthy(partition) && running.size > 0) overlaps.push(`at ${Date.now()}`);
        const durationMs = left.shift() ?? 0;
        const id = Symbol();
        running.set(id, Date.now());
        // The queue gives up what has not answered by then.
        await new Promise((resolve) => setTimeout(resolve, Math.min(durationMs, WRITE_TIMEOUT_MS - 1)));
        running.delete(id);
        if (left.length > 0) throw new StoreUnavailableError("failed");
      },
      0,
    );
  }

  return { queues, limit, partition, running, overlaps, isHanging, write };
}

describe("a partition queue", () => {
  test("stays unhealthy until the write that hangs has ended, however many fast ones end meanwhile", async () => {
    const { queues, partition, running, overlaps, write } = openQueue({ slots: 32 });
    const hanging = write([5_000]);
    await vi.advanceTimersByTimeAsync(900);
    const fast = write([300]);
    await vi.advanceTimersByTimeAsync(200);
    const waiting = Array.from({ length: 7 }, () => write([10]));
    await vi.advanceTimersByTimeAsync(150);
    await fast;
    expect([queues.isUnhealthy(partition), running.size]).toEqual([true, 1]);
    await vi.advanceTimersByTimeAsync(10_000);
    await Promise.all([hanging, ...waiting]);
    expect([queues.isUnhealthy(partition), overlaps]).toEqual([false, []]);
    queues.close();
  });

  test("stays unhealthy after a failure until the next probe, though a write that was begun before succeeds", async () => {
    const { queues, partition, write } = openQueue({ slots: 32 });
    const writes = [write([100, 10]), write([120])];
    await vi.advanceTimersByTimeAsync(130);
    await writes[1];
    expect(queues.isUnhealthy(partition)).toBe(true);
    await vi.advanceTimersByTimeAsync(1_000);
    await Promise.all(writes);
    expect(queues.isUnhealthy(partition)).toBe(false);
    queues.close();
  });

  test("writes one at a time while it is unhealthy, is unhealthy while a write hangs, and ends all: any interleaving", async () => {
    const durationMs = fc.oneof(fc.nat(900), fc.integer({ min: 1_001, max: 7_000 }));
    const writes = fc.array(
      fc.record({
        afterMs: fc.nat(1_500),
        durationsMs: fc.array(durationMs, { minLength: 1, maxLength: 3 }),
      }),
      { minLength: 1, maxLength: 8 },
    );
    // Writes to other partitions take slots, so that some wait for theirs while the queue becomes unhealthy.
    const othersMs = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 12, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(writes, othersMs, async (asked, delaysMs) => {
        const { queues, limit, partition, overlaps, isHanging, write } = openQueue({ slots: 16 });
        const others = delaysMs.map((delayMs) =>
          limit.run(() => new Promise((resolve) => setTimeout(resolve, delayMs))),
        );
        const ended: Promise<void>[] = [];
        for (const { afterMs, durationsMs } of asked) {
          ended.push(write(durationsMs));
          await vi.advanceTimersByTimeAsync(afterMs);
          if (isHanging()) expect(queues.isUnhealthy(partition)).toBe(true);
        }
        const all = Promise.all([...ended, ...others]).then(() => queues.close());
        await vi.advanceTimersByTimeAsync(60_000);
        await all;
        expect(overlaps).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });
});
