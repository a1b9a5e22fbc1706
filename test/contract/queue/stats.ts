import { describe, expect, it, vi } from "vitest";
import type { Delivery } from "../../../src/ports/impression-queue.ts";
import { openQueue, publishAll, pullCount, type QueueContract } from "./fixture.ts";

const MIB = 1_024 * 1_024;

export function stats(contract: QueueContract): void {
  describe("stats", () => {
    it("are all zero for an empty queue, but for the limit", async () => {
      const { queue } = await openQueue(contract, { queueMaxBytes: 8 * MIB });
      expect(await queue.stats()).toEqual({
        pending: 0,
        inFlight: 0,
        oldestPendingSeconds: 0,
        bytes: 0,
        limitBytes: 8 * MIB,
        notDelivering: null,
      });
    });

    it("count what is stored, what is held, and what is settled", async () => {
      const { queue } = await openQueue(contract);
      await publishAll(
        queue,
        Array.from({ length: 10 }, () => "x".repeat(1_000)),
      );
      const filled = await queue.stats();
      expect(filled).toMatchObject({ pending: 10, inFlight: 0 });
      expect(filled.bytes).toBeGreaterThanOrEqual(10_000);
      expect(filled.bytes).toBeLessThan(filled.limitBytes);

      const held = (await pullCount(queue, 4)) as [Delivery, ...Delivery[]];
      expect(await queue.stats()).toMatchObject({ pending: 10, inFlight: 4 });
      await queue.ack(held);
      const settled = await queue.stats();
      expect(settled).toMatchObject({ pending: 6, inFlight: 0 });
      expect(settled.bytes).toBeLessThan(filled.bytes);

      await queue.ack(await pullCount(queue, 6));
      expect(await queue.stats()).toMatchObject({ pending: 0, inFlight: 0, oldestPendingSeconds: 0 });
    });

    it("tell how old the oldest message is", async () => {
      const { queue } = await openQueue(contract);
      await publishAll(queue, ["a"]);
      await vi.waitFor(
        async () => {
          const { oldestPendingSeconds } = await queue.stats();
          expect(oldestPendingSeconds).toBeGreaterThan(0.5);
          expect(oldestPendingSeconds).toBeLessThan(120);
        },
        { timeout: 60_000, interval: 100 },
      );
    });
  });
}
