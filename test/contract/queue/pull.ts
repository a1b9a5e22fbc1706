import { describe, expect, it } from "vitest";
import {
  BRIEF_MS,
  bodyOf,
  only,
  openQueue,
  PATIENT_MS,
  publishAll,
  pullCount,
  pullOf,
  type QueueContract,
} from "./fixture.ts";

export function pull(contract: QueueContract): void {
  describe("pull", () => {
    it("gives the oldest first, with a first delivery counted as 1", async () => {
      const { queue } = await openQueue(contract);
      const bodies = Array.from({ length: 30 }, (_, index) => `message ${index}`);
      await publishAll(queue, bodies);
      const deliveries = await pullCount(queue, bodies.length);
      expect(deliveries.map(bodyOf)).toEqual(bodies);
      expect(deliveries.every(({ deliveries: count }) => count === 1)).toBe(true);
    });

    it("gives at most maxMessages", async () => {
      const { queue } = await openQueue(contract);
      await publishAll(queue, ["a", "b", "c"]);
      const first = await queue.pull(pullOf({ maxMessages: 2 }));
      expect(first.length).toBeGreaterThan(0);
      expect(first.length).toBeLessThanOrEqual(2);
    });

    it("stops before maxBytes, but always takes one", async () => {
      const { queue } = await openQueue(contract);
      const body = "x".repeat(10_000);
      await publishAll(queue, [body, body, body, body]);
      const two = await queue.pull(pullOf({ maxBytes: 25_000 }));
      expect(two.length).toBeGreaterThan(0);
      expect(two.length).toBeLessThanOrEqual(2);
      expect(await queue.pull(pullOf({ maxBytes: 1 }))).toHaveLength(1);
    });

    it("waits for the first message", async () => {
      const { queue } = await openQueue(contract);
      const pulled = queue.pull(pullOf());
      await publishAll(queue, ["a"]);
      expect((await pulled).map(bodyOf)).toEqual(["a"]);
    });

    it("wakes every waiting pull", async () => {
      const { queue } = await openQueue(contract);
      const pulls = Array.from({ length: 5 }, () => queue.pull(pullOf({ maxMessages: 1 })));
      await publishAll(queue, ["a", "b", "c", "d", "e"]);
      const bodies = (await Promise.all(pulls)).map((deliveries) => bodyOf(only(deliveries)));
      expect(bodies.sort()).toEqual(["a", "b", "c", "d", "e"]);
    });

    it("resolves with nothing when its time is over", async () => {
      const { queue } = await openQueue(contract);
      expect(await queue.pull(pullOf({ waitMs: BRIEF_MS }))).toEqual([]);
    });

    it("resolves with nothing when it is aborted, before or meanwhile, and takes nothing along", async () => {
      const { queue } = await openQueue(contract);
      expect(await queue.pull(pullOf({ signal: AbortSignal.abort() }))).toEqual([]);
      const controller = new AbortController();
      const pulled = queue.pull(pullOf({ signal: controller.signal }));
      controller.abort();
      expect(await pulled).toEqual([]);
      await publishAll(queue, ["a"]);
      // A server may have begun to deliver it to the pull that is gone: then it came back at once, long before ackWait.
      expect(only(await pullCount(queue, 1)).deliveries).toBeLessThanOrEqual(2);
    });

    it("never gives a message to two pullers", async () => {
      const { queue } = await openQueue(contract);
      const count = 300;
      const seen: number[] = [];
      const puller = async () => {
        for (;;) {
          const deliveries = await queue.pull(pullOf({ maxMessages: 7, waitMs: 2_000 }));
          if (deliveries.length === 0) return;
          seen.push(...deliveries.map(({ sequence }) => sequence));
          await queue.ack(deliveries);
        }
      };
      const pullers = Array.from({ length: 6 }, puller);
      await publishAll(
        queue,
        Array.from({ length: count }, (_, index) => `message ${index}`),
      );
      await Promise.all(pullers);
      expect(seen).toHaveLength(count);
      expect(new Set(seen).size).toBe(count);
    });

    it("delivers no message that another puller holds", async () => {
      const { queue } = await openQueue(contract);
      await publishAll(queue, ["a"]);
      await pullCount(queue, 1);
      expect(await queue.pull(pullOf({ waitMs: BRIEF_MS }))).toEqual([]);
    });

    it("gives to the next puller what was given back before what is new", async () => {
      const { queue } = await openQueue(contract);
      await publishAll(queue, ["old", "new"]);
      const takeOne = async () => only(await queue.pull(pullOf({ maxMessages: 1 })));
      await queue.nak([await takeOne()], 0);
      expect(bodyOf(await takeOne())).toBe("old");
      expect(bodyOf(await takeOne())).toBe("new");
    });

    it("ends when its time is over, also while others publish and take, and takes nothing along", async () => {
      const { queue } = await openQueue(contract);
      const seen: number[] = [];
      const take = async (waitMs: number) => {
        const deliveries = await queue.pull(pullOf({ waitMs, maxMessages: 1 }));
        seen.push(...deliveries.map(({ sequence }) => sequence));
        await queue.ack(deliveries);
      };
      let published = 0;
      let isOver = false;
      const idle = take(BRIEF_MS).then(() => {
        isOver = true;
      });
      while (!isOver) {
        await publishAll(queue, [`${published++}`]);
        await take(0);
      }
      await idle;
      while (seen.length < published) await take(PATIENT_MS);
      expect(new Set(seen).size).toBe(published);
      expect((await queue.stats()).pending).toBe(0);
    });
  });
}
