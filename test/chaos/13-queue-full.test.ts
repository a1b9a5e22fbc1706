import { expect } from "vitest";
import type { Random } from "../kit/random.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage } from "./support/stage.ts";

const LIST = 400;
const LISTS_MAX = 1_000;
/** Fills the queue with fewer views to look for afterwards. */
const LONGEST_SURFACE = "s".repeat(64);

scenario("13 queue full: OVERLOADED, no old message dropped, success after the drain", async (chaos) => {
  const { ledger, random, sized } = chaos;
  const QUEUE_MAX_BYTES = sized({ short: "1MiB", full: "16MiB" });
  const stage = await openStage({ environment: { QUEUE_MAX_BYTES } });
  const { url } = await stage.start("api");
  let lists = 0;
  const next = () => [`user-${lists++ % 20}`, longList(random)] as const;
  let [userId, list] = next();
  for (; (await ledger.send(url, userId, list)).outcome === "acknowledged"; [userId, list] = next())
    expect(lists).toBeLessThan(LISTS_MAX);
  const full = (await stage.stream()).state;
  expect(full.messages).toBeGreaterThan(1);

  for (let number = 0; number < 20; number++) {
    const attempt = await ledger.send(url, userId, list);
    expect(attempt).toMatchObject({ outcome: "refused", status: 503, code: "OVERLOADED" });
    expect(attempt.retryAfterMs).toBeGreaterThan(0);
  }
  const { messages, first_seq, last_seq } = (await stage.stream()).state;
  expect({ messages, first_seq, last_seq }).toEqual({
    messages: full.messages,
    first_seq: full.first_seq,
    last_seq: full.last_seq,
  });

  await stage.start("worker");
  await stage.drained();
  expect((await ledger.send(url, userId, list)).outcome).toBe("acknowledged");
  await stage.drained();
  const figures = await ledger.check(url);
  expectAllStored(figures);
  expect(figures.storedUnacknowledged).toBe(0);
  chaos.report({ ...figures, messagesWhenFull: messages, mutations: ledger.outcomes() });
});

function longList(random: Random) {
  const nowMs = Date.now();
  return Array.from({ length: LIST }, () => ({
    postId: `post-${random.integer(1, 100)}`,
    viewedAt: new Date(nowMs - random.integer(0, 3_600_000)).toISOString(),
    surface: LONGEST_SURFACE,
  }));
}
