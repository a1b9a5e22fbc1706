import { describe, expect, it } from "vitest";
import { openQueue, publishAll, pullCount, type QueueContract } from "./fixture.ts";

export function attempts(contract: QueueContract): void {
  describe("attempts", () => {
    /** A queue with some messages in the caller's hands: notes are made about no others. */
    async function openWithMessages(count: number) {
      const opened = await openQueue(contract);
      await publishAll(
        opened.queue,
        Array.from({ length: count }, (_, index) => `${index}`),
      );
      const deliveries = await pullCount(opened.queue, count);
      return { opened, deliveries, sequences: deliveries.map(({ sequence }) => sequence) };
    }

    it("are none for a message without an isolated attempt", async () => {
      const { opened, sequences } = await openWithMessages(1);
      expect(await opened.queue.attempts.read(sequences[0] ?? 0)).toEqual([]);
    });

    it("are what was written last, each message's its own, and survive a restart", async () => {
      const { opened, sequences } = await openWithMessages(3);
      const [a = 0, b = 0, c = 0] = sequences;
      const { attempts } = opened.queue;
      await attempts.write(a, ["one"]);
      await attempts.write(a, ["one", "žlutý \u{1f600}"]);
      await attempts.write(b, ["two"]);
      expect(await attempts.read(a)).toEqual(["one", "žlutý \u{1f600}"]);
      const { attempts: reopened } = await opened.reopen();
      expect(await Promise.all([a, b, c].map(reopened.read))).toEqual([
        ["one", "žlutý \u{1f600}"],
        ["two"],
        [],
      ]);
    });

    it("are forgotten by an empty list, and can begin anew", async () => {
      const { opened, sequences } = await openWithMessages(1);
      const [a = 0] = sequences;
      const { attempts } = opened.queue;
      await attempts.write(a, []);
      expect(await attempts.read(a)).toEqual([]);
      await attempts.write(a, ["one", "two"]);
      await attempts.write(a, []);
      expect(await attempts.read(a)).toEqual([]);
      await attempts.write(a, ["three"]);
      expect(await attempts.read(a)).toEqual(["three"]);
    });

    it("leave the messages alone", async () => {
      const { opened, deliveries, sequences } = await openWithMessages(2);
      const { queue } = opened;
      await queue.attempts.write(sequences[0] ?? 0, ["one"]);
      expect(await queue.stats()).toMatchObject({ pending: 2, inFlight: 2 });
      await queue.ack(deliveries);
      expect(await queue.stats()).toMatchObject({ pending: 0, inFlight: 0 });
    });
  });
}
