import { describe, expect, it } from "vitest";
import type { Delivery } from "../../../src/ports/impression-queue.ts";
import {
  BRIEF_MS,
  bodyOf,
  only,
  openQueue,
  publishAll,
  pullCount,
  pullOf,
  type QueueContract,
} from "./fixture.ts";

export function settle(contract: QueueContract): void {
  describe("ack", () => {
    it("takes an empty list, and the same message twice", async () => {
      const { queue } = await openQueue(contract);
      await publishAll(queue, ["a", "b"]);
      const [a] = (await pullCount(queue, 2)) as [Delivery, Delivery];
      await queue.ack([]);
      await queue.ack([a, a]);
      await queue.ack([a]);
      expect((await queue.stats()).pending).toBe(1);
    });
  });

  describe("nak", () => {
    it("gives a message back, and counts the next delivery", async () => {
      const { queue } = await openQueue(contract);
      await publishAll(queue, ["a"]);
      await queue.nak(await pullCount(queue, 1), 0);
      const again = only(await pullCount(queue, 1));
      expect(bodyOf(again)).toBe("a");
      expect(again.deliveries).toBe(2);
    });

    it("leaves the other messages alone", async () => {
      const { queue } = await openQueue(contract);
      await publishAll(queue, ["a", "b"]);
      const [a] = (await pullCount(queue, 2)) as [Delivery, Delivery];
      await queue.nak([], 0);
      await queue.nak([a], 0);
      expect(bodyOf(only(await queue.pull(pullOf())))).toBe("a");
      expect(await queue.pull(pullOf({ waitMs: BRIEF_MS }))).toEqual([]);
    });
  });

  describe("isAckedThrough", () => {
    it("tells whether all messages up to a sequence are acked, in any order of acks", async () => {
      const { queue } = await openQueue(contract);
      expect(await queue.isAckedThrough(0)).toBe(true);
      await publishAll(queue, ["a", "b", "c"]);
      const [a, b, c] = (await pullCount(queue, 3)) as [Delivery, Delivery, Delivery];
      expect(await queue.isAckedThrough(a.sequence - 1)).toBe(true);
      expect(await queue.isAckedThrough(a.sequence)).toBe(false);
      await queue.ack([b]);
      expect(await queue.isAckedThrough(b.sequence)).toBe(false);
      await queue.ack([a]);
      expect(await queue.isAckedThrough(b.sequence)).toBe(true);
      expect(await queue.isAckedThrough(c.sequence)).toBe(false);
      await queue.nak([c], 0);
      expect(await queue.isAckedThrough(c.sequence)).toBe(false);
      await queue.ack(await pullCount(queue, 1));
      expect(await queue.isAckedThrough(c.sequence)).toBe(true);
    });
  });
}
