import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startErasureRunner } from "../../src/admin/erasures.ts";
import { type Erasure, erasedThroughUs } from "../../src/domain/erasure.ts";
import { systemClock } from "../../src/domain/time.ts";
import type { Engine } from "../../src/engine.ts";
import { StoreRefusedError, StoreUnavailableError } from "../../src/ports/errors.ts";
import type { ImpressionQueue } from "../../src/ports/impression-queue.ts";
import type { ImpressionStore } from "../../src/ports/impression-store.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { letterOf } from "../contract/queue/dead-letters.ts";
import { pullCount } from "../contract/queue/fixture.ts";
import { createTemporaryDirectory } from "../support/directory.ts";
import { openEngineOf } from "../support/open-engine.ts";

const PATIENCE = { timeout: 60_000 };

describe("the runner of erasures", () => {
  const directory = createTemporaryDirectory();
  let engine: Engine;

  beforeAll(async () => {
    engine = await openEngineOf({ DATA_DIR: directory.path });
  });

  afterAll(async () => {
    await engine.close();
    directory.remove();
  });

  /** An erasure that was requested ten seconds ago, so that only the queue is waited for. */
  async function requested(): Promise<Erasure> {
    const erasure: Erasure = {
      id: randomUUID(),
      userId: `user-${randomUUID()}`,
      requestedAtUs: (Date.now() - 10_000) * 1_000,
      status: "WAITING_FOR_QUEUE",
      rowsDeleted: 0,
      finishedAtMs: null,
    };
    await engine.store.saveErasure(erasure);
    return erasure;
  }

  function run(parts: { store?: Partial<ImpressionStore>; queue?: Partial<ImpressionQueue> } = {}): void {
    const runner = startErasureRunner({
      store: { ...engine.store, ...parts.store },
      queue: { ...engine.queue, ...parts.queue },
      clock: systemClock,
      enqueuedWithinMs: 0,
      logger: createLogger("silent"),
    });
    onTestFinished(runner.stop);
  }

  const statusOf = async ({ id }: Erasure) => (await engine.store.findErasure(id))?.status;

  test("waits until what was queued before is settled, and deletes nothing until then", async () => {
    const { queue } = engine;
    await queue.publish({ id: randomUUID(), body: "unsettled" });
    const [message] = await pullCount(queue, 1);
    const erasure = await requested();
    const letter = letterOf({ userId: erasure.userId });
    await queue.deadLetters.add([letter]);
    let looks = 0;
    run({
      queue: {
        hasSettledThrough(sequence) {
          looks++;
          return queue.hasSettledThrough(sequence);
        },
      },
    });
    await expect.poll(() => looks, PATIENCE).toBeGreaterThan(2);
    expect(await statusOf(erasure)).toBe("WAITING_FOR_QUEUE");
    expect(await queue.deadLetters.count()).toBe(1);
    // What comes after the wait has begun is not waited for.
    await queue.publish({ id: randomUUID(), body: "later" });
    if (message !== undefined) await queue.ack([message]);
    await expect.poll(() => queue.deadLetters.count(), PATIENCE).toBe(0);
    await queue.ack(await pullCount(queue, 1));
    await expect.poll(() => statusOf(erasure), PATIENCE).toBe("DONE");
  });

  test("erases up to five seconds after the request, for hosts whose clocks differ", async () => {
    const erasure = await requested();
    const through: number[] = [];
    run({
      store: {
        async eraseUser(_userId, throughReceivedAtUs) {
          through.push(throughReceivedAtUs);
          return { rowsDeleted: 0 };
        },
      },
    });
    await expect.poll(() => statusOf(erasure), PATIENCE).toBe("DONE");
    expect(through).toEqual([erasure.requestedAtUs + 5_000_000]);
    expect(erasedThroughUs(erasure)).toBe(through[0]);
  });

  test("goes on after an outage of the store", async () => {
    const erasure = await requested();
    let failures = 2;
    run({
      store: {
        eraseUser(...given) {
          if (failures-- > 0) return Promise.reject(new StoreUnavailableError("down"));
          return engine.store.eraseUser(...given);
        },
      },
    });
    await expect.poll(() => statusOf(erasure), PATIENCE).toBe("DONE");
    expect(failures).toBeLessThan(0);
  });

  test("fails for good where the store refuses, and the next one has its turn", async () => {
    const refused = await requested();
    const next = await requested();
    run({
      store: {
        eraseUser(userId, ...given) {
          if (userId === refused.userId) return Promise.reject(new StoreRefusedError("never"));
          return engine.store.eraseUser(userId, ...given);
        },
      },
    });
    await expect.poll(() => statusOf(next), PATIENCE).toBe("DONE");
    expect(await engine.store.findErasure(refused.id)).toMatchObject({
      status: "FAILED",
      finishedAtMs: expect.any(Number),
    });
    expect(await engine.store.unfinishedErasures()).toEqual([]);
  });
});
