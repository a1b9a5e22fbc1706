import { describe, expect, it } from "vitest";
import type { Attempts } from "../../../src/ports/attempts.ts";
import type { DeadLetters } from "../../../src/ports/dead-letters.ts";
import { QueueUnavailableError } from "../../../src/ports/errors.ts";
import type { Delivery, ImpressionQueue } from "../../../src/ports/impression-queue.ts";
import { letterOf } from "./dead-letters.ts";
import { newId, only, openQueue, publishAll, pullCount, pullOf, type QueueContract } from "./fixture.ts";

type MethodOf<Port> = {
  [Name in keyof Port & string]: Port[Name] extends (...args: never[]) => unknown ? Name : never;
}[keyof Port & string];
/** Those that take what was pulled. */
type OperationOnDeliveries = "ack" | "nak" | "extend";

export function lifecycle(contract: QueueContract): void {
  describe("lifecycle", () => {
    it("opens queues that share nothing", async () => {
      const [one, other] = await Promise.all([openQueue(contract), openQueue(contract)]);
      await publishAll(one.queue, ["a"]);
      await one.queue.deadLetters.add([letterOf({})]);
      expect(await other.queue.stats()).toMatchObject({ pending: 0 });
      expect(await other.queue.newestSequence()).toBe(0);
      expect(await other.queue.deadLetters.count()).toBe(0);
      expect((await one.queue.stats()).pending).toBe(1);
    });

    it("has a name for its stream that stays", async () => {
      const opened = await openQueue(contract);
      const { stream } = opened.queue;
      expect(stream).not.toBe("");
      expect((await opened.reopen()).stream).toBe(stream);
    });

    it("has an identity that stays and that no other queue has", async () => {
      const [one, other] = await Promise.all([openQueue(contract), openQueue(contract)]);
      const identity = await one.queue.identity();
      expect(identity).not.toBe("");
      expect(await other.queue.identity()).not.toBe(identity);
      await publishAll(one.queue, ["a"]);
      expect(await (await one.reopen()).identity()).toBe(identity);
    });

    it("is healthy while it is open and says why when it is not", async () => {
      const { queue } = await openQueue(contract);
      expect(await queue.health()).toEqual({ healthy: true });
      await queue.close();
      const health = await queue.health();
      expect(health.healthy).toBe(false);
    });

    it("closes once, however often it is called", async () => {
      const { queue } = await openQueue(contract);
      await Promise.all([queue.close(), queue.close()]);
      await queue.close();
    });

    it("keeps messages and views that it confirmed before the close", async () => {
      const opened = await openQueue(contract);
      const published = Array.from({ length: 50 }, (_, index) =>
        opened.queue.publish({ id: newId(), body: `${index}` }),
      );
      const [results, reopened] = await Promise.all([Promise.allSettled(published), opened.reopen()]);
      const stored = results.filter(({ status }) => status === "fulfilled").length;
      expect((await reopened.stats()).pending).toBeGreaterThanOrEqual(stored);
    });

    it("ends a pull that waits", async () => {
      const { queue } = await openQueue(contract);
      const pulled = queue.pull(pullOf()).then(
        (deliveries) => deliveries.length,
        (error: unknown) => error instanceof QueueUnavailableError,
      );
      await queue.close();
      expect(await pulled).toBeOneOf([0, true]);
    });

    // Every operation of the port: one that is missing here, or below, does not compile.
    type Operation =
      | Exclude<MethodOf<ImpressionQueue>, "health" | "close" | OperationOnDeliveries>
      | `deadLetters.${MethodOf<DeadLetters>}`
      | `attempts.${MethodOf<Attempts>}`;
    const calls: Record<Operation, (queue: ImpressionQueue) => Promise<unknown>> = {
      publish: (queue) => queue.publish({ id: newId(), body: "a" }),
      pull: (queue) => queue.pull(pullOf()),
      identity: (queue) => queue.identity(),
      newestSequence: (queue) => queue.newestSequence(),
      isAckedThrough: (queue) => queue.isAckedThrough(0),
      scrub: (queue) => queue.scrub(),
      stats: (queue) => queue.stats(),
      "deadLetters.add": (queue) => queue.deadLetters.add([letterOf({})]),
      "deadLetters.page": (queue) => queue.deadLetters.page({ filter: {}, before: null, limit: 1 }),
      "deadLetters.remove": (queue) => queue.deadLetters.remove(["a"]),
      "deadLetters.count": (queue) => queue.deadLetters.count(),
      "attempts.read": (queue) => queue.attempts.read(1),
      "attempts.write": (queue) => queue.attempts.write(1, ["a"]),
    };
    it.each(Object.entries(calls))("refuses %s once it is closed", async (_name, call) => {
      const { queue } = await openQueue(contract);
      await queue.close();
      await expect(call(queue)).rejects.toThrow(QueueUnavailableError);
    });

    const callsOnDeliveries: Record<
      OperationOnDeliveries,
      (queue: ImpressionQueue, held: Delivery[]) => unknown
    > = {
      ack: (queue, held) => queue.ack(held),
      nak: (queue, held) => queue.nak(held, 0),
      extend: (queue, held) => queue.extend(held),
    };
    it.each(Object.entries(callsOnDeliveries))("refuses %s once it is closed", async (_name, call) => {
      const { queue } = await openQueue(contract);
      await publishAll(queue, ["a"]);
      const held = [only(await pullCount(queue, 1))];
      await queue.close();
      await expect(call(queue, held)).rejects.toThrow(QueueUnavailableError);
    });
  });
}
