import { describe, expect, it } from "vitest";
import { SUBMISSION_BYTES_MAX } from "../../../src/domain/limits.ts";
import { QueueFullError } from "../../../src/ports/errors.ts";
import {
  ACK_WAIT_SHORT_MS,
  bodyOf,
  newId,
  only,
  openQueue,
  publishAll,
  pullCount,
  type QueueContract,
} from "./fixture.ts";

const MIB = 1_024 * 1_024;
const LARGE_BODY = "x".repeat(64 * 1_024);

export function publish(contract: QueueContract): void {
  describe("publish", () => {
    it("keeps the body byte for byte", async () => {
      const { queue } = await openQueue(contract);
      const bodies = [
        "{}",
        "žluťoučký 🐎 \uffff \u{10ffff}",
        JSON.stringify("\ud800 \u0000"),
        "y".repeat(SUBMISSION_BYTES_MAX),
      ];
      await publishAll(queue, bodies);
      expect((await pullCount(queue, bodies.length)).map(bodyOf)).toEqual(bodies);
    });

    it("stamps each message with the time", async () => {
      const { queue } = await openQueue(contract);
      await publishAll(queue, ["a"]);
      const [delivery] = await pullCount(queue, 1);
      // Another host may have stamped it.
      expect(Math.abs(Date.now() - (delivery?.publishedAtMs ?? 0))).toBeLessThan(60_000);
    });

    it("numbers the messages upwards and never twice", async () => {
      const opened = await openQueue(contract);
      expect(await opened.queue.newestSequence()).toBe(0);
      await publishAll(opened.queue, ["a", "b"]);
      const deliveries = await pullCount(opened.queue, 2);
      const sequences = deliveries.map(({ sequence }) => sequence);
      expect(sequences[0]).toBeGreaterThan(0);
      expect(sequences[1]).toBeGreaterThan(sequences[0] ?? 0);
      expect(await opened.queue.newestSequence()).toBe(sequences[1]);

      await opened.queue.ack(deliveries);
      expect(await opened.queue.newestSequence()).toBe(sequences[1]);
      const reopened = await opened.reopen();
      expect(await reopened.newestSequence()).toBe(sequences[1]);
      await publishAll(reopened, ["c"]);
      expect(only(await pullCount(reopened, 1)).sequence).toBeGreaterThan(sequences[1] ?? 0);
    });

    it("stores one message for an id, however often and at once it is published", async () => {
      const { queue } = await openQueue(contract);
      const id = newId();
      await Promise.all(Array.from({ length: 10 }, () => queue.publish({ id, body: "a" })));
      await queue.publish({ id, body: "a" });
      expect((await queue.stats()).pending).toBe(1);
    });

    it("remembers an id whose message is settled, and over a restart of its caller", async () => {
      const opened = await openQueue(contract);
      const id = newId();
      await opened.queue.publish({ id, body: "a" });
      await opened.queue.ack(await pullCount(opened.queue, 1));
      await opened.queue.publish({ id, body: "a" });
      expect((await opened.queue.stats()).pending).toBe(0);

      const reopened = await opened.reopen();
      await reopened.publish({ id, body: "a" });
      expect((await reopened.stats()).pending).toBe(0);
    });

    it("takes equal bodies under different ids for different messages", async () => {
      const { queue } = await openQueue(contract);
      await publishAll(queue, ["a", "a"]);
      expect((await queue.stats()).pending).toBe(2);
    });

    it("survives a restart", async () => {
      const opened = await openQueue(contract);
      await publishAll(opened.queue, ["a", "b", "c"]);
      const reopened = await opened.reopen();
      expect((await pullCount(reopened, 3)).map(bodyOf)).toEqual(["a", "b", "c"]);
    });

    it("refuses the new message when it is full, keeps the old ones, and takes more once there is room", async () => {
      const { queue } = await openQueue(contract, { queueMaxBytes: MIB });
      let stored = 0;
      const fill = async () => {
        for (;;) {
          await queue.publish({ id: newId(), body: LARGE_BODY });
          stored++;
        }
      };
      await expect(fill()).rejects.toThrow(QueueFullError);
      expect(stored).toBeGreaterThan(8);
      expect(stored).toBeLessThanOrEqual(MIB / LARGE_BODY.length);

      const deliveries = await pullCount(queue, stored);
      expect(deliveries.every((delivery) => bodyOf(delivery) === LARGE_BODY)).toBe(true);
      await queue.ack(deliveries);
      await queue.publish({ id: newId(), body: LARGE_BODY });
      expect((await queue.stats()).pending).toBe(1);
    });

    it("does not exceed its limit when many publish at once", async () => {
      const { queue } = await openQueue(contract, { queueMaxBytes: MIB });
      const results = await Promise.allSettled(
        Array.from({ length: 40 }, () => queue.publish({ id: newId(), body: LARGE_BODY })),
      );
      const stored = results.filter(({ status }) => status === "fulfilled").length;
      const refused = results.filter(
        (result) => result.status === "rejected" && result.reason instanceof QueueFullError,
      ).length;
      expect(stored + refused).toBe(results.length);
      expect(stored).toBeGreaterThan(0);
      expect(stored).toBeLessThanOrEqual(MIB / LARGE_BODY.length);
      expect((await queue.stats()).pending).toBe(stored);
    });

    it("does not use up an id that it refused", async () => {
      const { queue } = await openQueue(contract, { queueMaxBytes: MIB, ackWaitMs: ACK_WAIT_SHORT_MS });
      const id = newId();
      const ids = Array.from({ length: 20 }, newId);
      await Promise.allSettled(ids.map((each) => queue.publish({ id: each, body: LARGE_BODY })));
      await expect(queue.publish({ id, body: LARGE_BODY })).rejects.toThrow(QueueFullError);
      const { pending } = await queue.stats();
      await queue.ack(await pullCount(queue, pending));
      await queue.publish({ id, body: "now it fits" });
      expect(bodyOf(only(await pullCount(queue, 1)))).toBe("now it fits");
    });
  });
}
