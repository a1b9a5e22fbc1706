import { describe, expect, it } from "vitest";
import type { DeadLetter } from "../../../src/domain/dead-letter.ts";
import type { DeadLetterFilter, DeadLetters, StoredDeadLetter } from "../../../src/ports/dead-letters.ts";
import { DeadLettersFullError } from "../../../src/ports/errors.ts";
import { newId, only, openQueue, type QueueContract } from "./fixture.ts";

const MIB = 1_024 * 1_024;

export function deadLetters(contract: QueueContract): void {
  const open = async () => (await openQueue(contract)).queue.deadLetters;

  describe("dead letters", () => {
    it("come back as they were added, newest first, with an increasing sequence", async () => {
      const letters = await open();
      const added = [
        letterOf({ userId: "u1" }),
        letterOf({
          reason: "UNREADABLE_MESSAGE",
          userId: null,
          receivedAtUs: null,
          payload: { base64: "/w==" },
        }),
        letterOf({ userId: "\u0000\u{1f600} \ufffe", detail: "žluťoučký", deliveries: 7 }),
        letterOf({
          payload: { userId: 5, receivedAtUs: 1, impression: { postId: ["nested", { a: null }] } },
        }),
      ];
      for (const letter of added) await letters.add([letter]);
      const found = await pageAll(letters, {});
      expect(found.map(({ sequence, ...letter }) => letter)).toEqual(added.toReversed());
      const sequences = found.map(({ sequence }) => sequence);
      expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => b - a));
      expect(sequences.at(-1)).toBeGreaterThan(0);
    });

    it("exist once for an id, however often they are added", async () => {
      const letters = await open();
      const letter = letterOf({ detail: "first" });
      await letters.add([letter, letter]);
      await letters.add([{ ...letter, detail: "second" }, letterOf({})]);
      expect(await letters.count()).toBe(2);
      expect((await pageAll(letters, { ids: [letter.id] })).map(({ detail }) => detail)).toEqual(["first"]);
    });

    it("are found by every condition, and by all together", async () => {
      const letters = await open();
      const [a, b, c, d] = [
        letterOf({ userId: "u1", reason: "INVALID_FIELD", failedAtMs: 1_000 }),
        letterOf({ userId: "u1", reason: "INVALID_POST_ID", failedAtMs: 2_000 }),
        letterOf({ userId: "u2", reason: "INVALID_FIELD", failedAtMs: 3_000 }),
        letterOf({ userId: null, reason: "UNREADABLE_MESSAGE", failedAtMs: 4_000, payload: { base64: "" } }),
      ] as const;
      await letters.add([a, b, c, d]);
      const find = async (filter: DeadLetterFilter) =>
        new Set((await pageAll(letters, filter)).map(({ id }) => id));
      const idsOf = (...found: DeadLetter[]) => new Set(found.map(({ id }) => id));

      expect(await find({})).toEqual(idsOf(a, b, c, d));
      expect(await find({ userId: null, reason: null, ids: null, sinceMs: null, untilMs: null })).toEqual(
        idsOf(a, b, c, d),
      );
      expect(await find({ userId: "u1" })).toEqual(idsOf(a, b));
      expect(await find({ userId: "nobody" })).toEqual(idsOf());
      expect(await find({ reason: "INVALID_FIELD" })).toEqual(idsOf(a, c));
      expect(await find({ ids: [b.id, d.id, "unknown"] })).toEqual(idsOf(b, d));
      expect(await find({ ids: [] })).toEqual(idsOf());
      expect(await find({ sinceMs: 2_000 })).toEqual(idsOf(b, c, d));
      expect(await find({ untilMs: 2_000 })).toEqual(idsOf(a));
      expect(await find({ sinceMs: 2_000, untilMs: 4_000 })).toEqual(idsOf(b, c));
      expect(await find({ userId: "u1", reason: "INVALID_FIELD" })).toEqual(idsOf(a));
      expect(await find({ userId: "u1", sinceMs: 1_500, ids: [a.id, b.id, c.id] })).toEqual(idsOf(b));
      expect(await find({ reason: "INVALID_FIELD", untilMs: 3_000, userId: "u2" })).toEqual(idsOf());
    });

    it("come page by page, each once, under every filter", async () => {
      const letters = await open();
      const added = Array.from({ length: 60 }, (_, index) =>
        letterOf({ userId: `u${index % 2}`, reason: index % 3 === 0 ? "INVALID_FIELD" : "INVALID_POST_ID" }),
      );
      await letters.add(added);
      for (const limit of [1, 7, 59, 60, 500]) {
        expect((await pageAll(letters, {}, limit)).map(({ id }) => id)).toEqual(
          added.map(({ id }) => id).toReversed(),
        );
      }
      expect(await pageAll(letters, { userId: "u1" }, 4)).toHaveLength(30);
      expect(await pageAll(letters, { reason: "INVALID_FIELD" }, 3)).toHaveLength(20);
      expect(await pageAll(letters, { ids: added.slice(0, 20).map(({ id }) => id) }, 3)).toHaveLength(20);
    });

    it("are gone once removed, and can be added again", async () => {
      const letters = await open();
      const [a, b] = [letterOf({}), letterOf({})];
      await letters.add([a, b]);
      expect(await letters.remove([a.id, "unknown"])).toBe(1);
      expect(await letters.remove([a.id])).toBe(0);
      expect(await letters.remove([])).toBe(0);
      expect(await letters.count()).toBe(1);
      expect(only(await pageAll(letters, {})).id).toBe(b.id);
    });

    it("survive a restart", async () => {
      const opened = await openQueue(contract);
      const letter = letterOf({});
      await opened.queue.deadLetters.add([letter]);
      const { deadLetters: reopened } = await opened.reopen();
      expect(only(await pageAll(reopened, {})).id).toBe(letter.id);
    });

    it("are refused when there is no room, the stored ones excepted", async () => {
      const { queue } = await openQueue(contract, { deadLetterMaxBytes: MIB });
      const letters = queue.deadLetters;
      const stored: DeadLetter[] = [];
      const fill = async () => {
        for (;;) {
          const letter = letterOf({ detail: "x".repeat(100_000) });
          await letters.add([letter]);
          stored.push(letter);
        }
      };
      await expect(fill()).rejects.toThrow(DeadLettersFullError);
      expect(stored.length).toBeGreaterThan(4);
      expect(await letters.count()).toBe(stored.length);
      await letters.add(stored.slice(0, 2));
      expect(await letters.remove(stored.map(({ id }) => id))).toBe(stored.length);
      await letters.add([letterOf({})]);
      expect(await letters.count()).toBe(1);
    });

    it("leave the messages alone, and are left alone by them", async () => {
      const { queue } = await openQueue(contract);
      await queue.publish({ id: newId(), body: "a" });
      await queue.deadLetters.add([letterOf({})]);
      expect((await queue.stats()).pending).toBe(1);
      expect(await queue.deadLetters.count()).toBe(1);
    });
  });
}

export function letterOf(given: Partial<DeadLetter>): DeadLetter {
  return {
    id: newId().replaceAll("-", ""),
    reason: "INVALID_FIELD",
    detail: "dwellMs must be an integer",
    userId: "user",
    receivedAtUs: 1_790_000_000_000_000,
    failedAtMs: 1_790_000_000_500,
    deliveries: 1,
    payload: { userId: "user", receivedAtUs: 1_790_000_000_000_000, impression: { postId: "p" } },
    ...given,
  };
}

async function pageAll(
  letters: DeadLetters,
  filter: DeadLetterFilter,
  limit = 100,
): Promise<StoredDeadLetter[]> {
  const found: StoredDeadLetter[] = [];
  let before: number | null = null;
  do {
    const page = await letters.page({ filter, before, limit });
    expect(page.deadLetters.length).toBeLessThanOrEqual(limit);
    found.push(...page.deadLetters);
    before = page.next;
  } while (before !== null);
  return found;
}
