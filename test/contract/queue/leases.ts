import { describe, expect, it } from "vitest";
import type { Delivery } from "../../../src/ports/impression-queue.ts";
import {
  ACK_WAIT_SHORT_MS,
  bodyOf,
  only,
  openQueue,
  publishAll,
  pullCount,
  pullOf,
  type QueueContract,
} from "./fixture.ts";

/** How long a message is held. Each of these tests waits for the end of a lease; they wait together. */
export function leases(contract: QueueContract): void {
  describe.concurrent("leases", () => {
    it("gives a message again when its holder let ackWait pass, and counts it", async ({
      onTestFinished,
    }) => {
      const { queue } = await openQueue(contract, { ackWaitMs: ACK_WAIT_SHORT_MS }, onTestFinished);
      await publishAll(queue, ["a"]);
      const first = only(await pullCount(queue, 1));
      // The pull below waits already when the lease ends: nothing but the lease's end can wake it.
      const second = only(await queue.pull(pullOf()));
      expect(second).toMatchObject({ sequence: first.sequence, deliveries: 2 });
      expect(only(await queue.pull(pullOf())).deliveries).toBe(3);
    });

    it("delivers what was not settled again after a restart, and goes on counting", async ({
      onTestFinished,
    }) => {
      const opened = await openQueue(contract, { ackWaitMs: ACK_WAIT_SHORT_MS }, onTestFinished);
      await publishAll(opened.queue, ["a", "b"]);
      const [a] = await pullCount(opened.queue, 2);
      await opened.queue.ack([a as Delivery]);
      const reopened = await opened.reopen();
      const again = only(await reopened.pull(pullOf()));
      expect(bodyOf(again)).toBe("b");
      expect(again.deliveries).toBeGreaterThanOrEqual(2);
    });

    it("ack settles exactly the given messages, for good", async ({ onTestFinished }) => {
      const opened = await openQueue(contract, { ackWaitMs: ACK_WAIT_SHORT_MS }, onTestFinished);
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

    it("ack takes a message that was delivered again since", async ({ onTestFinished }) => {
      const { queue } = await openQueue(contract, { ackWaitMs: ACK_WAIT_SHORT_MS }, onTestFinished);
      await publishAll(queue, ["a"]);
      const first = only(await pullCount(queue, 1));
      const second = only(await queue.pull(pullOf()));
      await queue.ack([first]);
      await queue.ack([second]);
      expect((await queue.stats()).pending).toBe(0);
      expect(await queue.pull(pullOf({ waitMs: 2 * ACK_WAIT_SHORT_MS }))).toEqual([]);
    });

    it("nak holds a message back for the delay, and wakes a waiting puller after it", async ({
      onTestFinished,
    }) => {
      const { queue } = await openQueue(contract, {}, onTestFinished);
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

    it("extend holds a message beyond its ackWait", async ({ onTestFinished }) => {
      const ackWaitMs = 3 * ACK_WAIT_SHORT_MS;
      const { queue } = await openQueue(contract, { ackWaitMs }, onTestFinished);
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
}
