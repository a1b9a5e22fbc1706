import { describe, expect, it } from "vitest";
import type { Delivery } from "../../../src/ports/impression-queue.ts";
import {
  ACK_WAIT_SHORT_MS,
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
    it("settles exactly the given messages, for good", async () => {
      const opened = await openQueue(contract, { ackWaitMs: ACK_WAIT_SHORT_MS });
      await publishAll(opened.queue, ["a", "b", "c"]);
      const [a, b, c] = (await pullCount(opened.queue, 3)) as [Delivery, Delivery, Delivery];
      await opened.queue.ack([a, c]);
      expect((await opened.queue.stats()).pending).toBe(1);
      const again = await opened.queue.pull(pullOf());
      expect(only(again).sequence).toBe(b.sequence);
      await opened.queue.ack(again);
      const reopened = await opened.reopen();
      expect(await reopened.pull(pullOf({ waitMs: 2 * ACK_WAIT_SHORT_MS }))).toEqual([]);
    });

    it("takes an empty list, and the same message twice", async () => {
      const { queue } = await openQueue(contract);
      await publishAll(queue, ["a", "b"]);
      const [a] = (await pullCount(queue, 2)) as [Delivery, Delivery];
      await queue.ack([]);
      await queue.ack([a, a]);
      await queue.ack([a]);
      expect((await queue.stats()).pending).toBe(1);
    });

    it("takes a message that was delivered again since", async () => {
      const { queue } = await openQueue(contract, { ackWaitMs: ACK_WAIT_SHORT_MS });
      await publishAll(queue, ["a"]);
      const first = only(await pullCount(queue, 1));
      const second = only(await queue.pull(pullOf()));
      await queue.ack([first]);
      await queue.ack([second]);
      expect((await queue.stats()).pending).toBe(0);
      expect(await queue.pull(pullOf({ waitMs: 2 * ACK_WAIT_SHORT_MS }))).toEqual([]);
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

    it("holds it back for the delay, and wakes a waiting puller after it", async () => {
      const { queue } = await openQueue(contract);
      const delayMs = 1_500;
      await publishAll(queue, ["a"]);
      const held = await pullCount(queue, 1);
      const waiting = queue.pull(pullOf());
      const startedMs = performance.now();
      await queue.nak(held, delayMs);
      expect(only(await waiting).deliveries).toBe(2);
      // Half of it: hosts round, and their clocks run differently.
      expect(performance.now() - startedMs).toBeGreaterThan(delayMs / 2);
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

  describe("extend", () => {
    it("holds a message beyond its ackWait", async () => {
      const ackWaitMs = 3 * ACK_WAIT_SHORT_MS;
      const { queue } = await openQueue(contract, { ackWaitMs });
      await publishAll(queue, ["a"]);
      const held = await pullCount(queue, 1);
      await queue.extend([]);
      const heartbeat = setInterval(() => void queue.extend(held), ackWaitMs / 10);
      try {
        expect(await queue.pull(pullOf({ waitMs: 2 * ackWaitMs }))).toEqual([]);
      } finally {
        clearInterval(heartbeat);
      }
      // The message is not extended any more.
      expect(only(await queue.pull(pullOf())).deliveries).toBe(2);
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
