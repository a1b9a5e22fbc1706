import { describe, expect, test } from "vitest";
import type { Submission } from "../../src/domain/impression.ts";
import type { GroupCommit } from "../../src/ingest/group-commit.ts";
import { createReceivedAtClock } from "../../src/ingest/received-at-clock.ts";
import { createRecorder } from "../../src/ingest/recorder.ts";

const NOW_MS = 1_790_000_000_000;
const MINUTE_MS = 60_000;

function recorderAt(nowMs: number) {
  const added: Submission[] = [];
  const groupCommit: GroupCommit = {
    add: async (submission) => void added.push(submission),
    usedShares: () => [],
    drain: async () => undefined,
  };
  const clock = { nowMs: () => nowMs };
  const receivedAt = createReceivedAtClock(clock);
  return { added, recorder: createRecorder({ groupCommit, receivedAt, clock, flushAfterMs: () => 7 }) };
}

function viewedAt(viewedAtMs: number) {
  return { postId: "p", viewedAtMs, surface: null, position: null, dwellMs: null };
}

describe("recorder", () => {
  test("stamps the list once and answers what it stamped", async () => {
    const { added, recorder } = recorderAt(NOW_MS);
    const impressions = [viewedAt(NOW_MS - 5), viewedAt(NOW_MS - 4)];
    const result = await recorder.record({ userId: "u", impressions, sentAtMs: null });
    expect(result).toEqual({ accepted: 2, receivedAtMs: NOW_MS, flushAfterMs: 7 });
    expect(added).toEqual([{ userId: "u", receivedAtUs: NOW_MS * 1_000, impressions }]);
  });

  test.each([
    ["within 5 minutes", NOW_MS + 5 * MINUTE_MS, 0],
    ["an hour behind", NOW_MS - 60 * MINUTE_MS, 0],
    ["just over 5 minutes ahead", NOW_MS + 5 * MINUTE_MS + 1, -5 * MINUTE_MS],
    ["29 s more than an hour ahead", NOW_MS + 60 * MINUTE_MS + 29_000, -60 * MINUTE_MS],
    ["31 s more than an hour ahead", NOW_MS + 60 * MINUTE_MS + 31_000, -61 * MINUTE_MS],
    ["a day ahead", NOW_MS + 1_440 * MINUTE_MS, -1_440 * MINUTE_MS],
  ])(
    "a sender's clock that is %s moves every view by whole minutes or not at all",
    async (_, sentAtMs, shiftMs) => {
      const { added, recorder } = recorderAt(NOW_MS);
      const viewedMs = sentAtMs - 1_234;
      await recorder.record({ userId: "u", impressions: [viewedAt(viewedMs)], sentAtMs });
      expect(added[0]?.impressions[0]?.viewedAtMs).toBe(viewedMs + shiftMs);
    },
  );
});

test("after our clock was set back an hour, a sender whose clock is right is not corrected", async () => {
  const times = [NOW_MS + 60 * MINUTE_MS];
  const clock = { nowMs: () => times.shift() ?? NOW_MS };
  const receivedAt = createReceivedAtClock(clock);
  receivedAt.nextUs();
  const added: Submission[] = [];
  const groupCommit: GroupCommit = {
    add: async (submission) => void added.push(submission),
    usedShares: () => [],
    drain: async () => undefined,
  };
  const recorder = createRecorder({ groupCommit, receivedAt, clock, flushAfterMs: () => 0 });
  const result = await recorder.record({
    userId: "u",
    impressions: [viewedAt(NOW_MS - 1)],
    sentAtMs: NOW_MS,
  });
  expect(result.receivedAtMs).toBe(NOW_MS);
  expect(added[0]?.impressions[0]?.viewedAtMs).toBe(NOW_MS - 1);
});

describe("receivedAt clock", () => {
  test("never repeats and never goes back, also when the host's clock does", () => {
    const times = [NOW_MS, NOW_MS, NOW_MS - 10_000, NOW_MS + 1];
    const clock = createReceivedAtClock({ nowMs: () => times.shift() ?? 0 });
    expect([1, 2, 3, 4].map(() => clock.nextUs() - NOW_MS * 1_000)).toEqual([0, 1, 2, 1_000]);
  });

  test("leaves a list room for as many versions of one view as it has impressions", async () => {
    const { added, recorder } = recorderAt(NOW_MS);
    const impressions = [viewedAt(NOW_MS), viewedAt(NOW_MS), viewedAt(NOW_MS)];
    for (let list = 0; list < 2; list++) await recorder.record({ userId: "u", impressions, sentAtMs: null });
    expect(added.map(({ receivedAtUs }) => receivedAtUs - NOW_MS * 1_000)).toEqual([0, 3]);
  });
});
