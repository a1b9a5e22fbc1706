import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Submission } from "../../src/domain/impression.ts";
import { SUBMISSION_BYTES_MAX } from "../../src/domain/limits.ts";
import { decodeMessage, encodeSubmission } from "../../src/domain/queue-message.ts";
import { OverloadedError, SubmissionTooLargeError } from "../../src/ingest/errors.ts";
import {
  type CommittedMessage,
  createGroupCommit,
  type GroupCommitOptions,
} from "../../src/ingest/group-commit.ts";
import { QueueFullError, QueueUnavailableError } from "../../src/ports/errors.ts";
import type { OutgoingMessage } from "../../src/ports/impression-queue.ts";

/** A publish function whose confirmations the test gives by hand. */
function manualPublisher() {
  const sent: { message: OutgoingMessage; confirm: () => void; refuse: (error: Error) => void }[] = [];
  return {
    sent,
    publish: (message: OutgoingMessage) =>
      new Promise<void>((confirm, refuse) => {
        sent.push({ message, confirm, refuse });
      }),
  };
}

function groupCommitWith(options: Partial<GroupCommitOptions> & Pick<GroupCommitOptions, "publish">) {
  let ids = 0;
  return createGroupCommit({
    newMessageId: () => `m${++ids}`,
    inFlightMax: 1,
    pendingMutationsMax: 1_000,
    pendingBytesMax: 1024 * 1024,
    waitMsMax: 5_000,
    monotonicMs: () => 0,
    ...options,
  });
}

function submission(userId: string, impressions = 1, postIdLength = 4): Submission {
  return {
    userId,
    receivedAtUs: 1_790_000_000_000_000,
    impressions: Array.from({ length: impressions }, (_, index) => ({
      postId: String(index).padEnd(postIdLength, "p"),
      viewedAtMs: 1_790_000_000_000 + index,
      surface: null,
      position: null,
      dwellMs: null,
    })),
  };
}

function usersIn({ body }: OutgoingMessage): unknown[] {
  const message = decodeMessage(Buffer.from(body));
  if (message.kind !== "message") throw new Error(message.detail);
  return message.submissions.map(({ userId }) => userId);
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("group commit", () => {
  test("an idle stage sends at the end of the turn, together with what came in the same turn", async () => {
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish });
    const both = [stage.add(submission("a")), stage.add(submission("b"))];
    await nextTurn();
    expect(sent.map(({ message }) => usersIn(message))).toEqual([["a", "b"]]);
    sent[0]?.confirm();
    await Promise.all(both);
  });

  test("no mutation is answered before the confirmation", async () => {
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish });
    let answered = false;
    const added = stage.add(submission("a")).then(() => {
      answered = true;
    });
    for (let turn = 0; turn < 5; turn++) await nextTurn();
    expect(answered).toBe(false);
    sent[0]?.confirm();
    await added;
    expect(answered).toBe(true);
  });

  test("while a message is on its way the next one fills, and leaves with the confirmation", async () => {
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish });
    const first = stage.add(submission("a"));
    await nextTurn();
    const later = ["b", "c", "d"].map((user) => stage.add(submission(user)));
    await nextTurn();
    expect(sent).toHaveLength(1);
    sent[0]?.confirm();
    await first;
    await nextTurn();
    expect(sent.map(({ message }) => usersIn(message))).toEqual([["a"], ["b", "c", "d"]]);
    sent[1]?.confirm();
    await Promise.all(later);
  });

  test("messages have ids of their own", async () => {
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish, inFlightMax: 2 });
    const all = [stage.add(submission("a", 400)), stage.add(submission("b", 400))];
    await nextTurn();
    expect(new Set(sent.map(({ message }) => message.id)).size).toBe(2);
    for (const { confirm } of sent) confirm();
    await Promise.all(all);
  });

  test("a message closes at 500 impressions and never splits a submission", async () => {
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish, inFlightMax: 9 });
    const all = [300, 200, 1, 500, 499].map((count, index) => stage.add(submission(`u${index}`, count)));
    await nextTurn();
    expect(sent.map(({ message }) => usersIn(message))).toEqual([["u0", "u1"], ["u2"], ["u3"], ["u4"]]);
    for (const { confirm } of sent) confirm();
    await Promise.all(all);
  });

  test("a message closes at 128 KiB, but takes one larger submission whole", async () => {
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish, inFlightMax: 9 });
    const all = [
      stage.add(submission("a", 100, 1_000)),
      stage.add(submission("b", 100, 1_000)),
      stage.add(submission("large", 200, 1_000)),
    ];
    await nextTurn();
    expect(sent.map(({ message }) => usersIn(message))).toEqual([["a"], ["b"], ["large"]]);
    expect(sent[2]?.message.body.length).toBeGreaterThan(128 * 1024);
    for (const { confirm } of sent) confirm();
    await Promise.all(all);
  });

  test("a failed message fails all mutations in it and no other", async () => {
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish });
    const failing = Promise.allSettled([stage.add(submission("a")), stage.add(submission("b"))]);
    await nextTurn();
    const fine = stage.add(submission("c"));
    const error = new QueueUnavailableError("no confirmation");
    sent[0]?.refuse(error);
    expect(await failing).toEqual([
      { status: "rejected", reason: error },
      { status: "rejected", reason: error },
    ]);
    await nextTurn();
    sent[1]?.confirm();
    await fine;
  });

  test("a full queue is told as overload", async () => {
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish });
    const added = stage.add(submission("a"));
    await nextTurn();
    sent[0]?.refuse(new QueueFullError("full"));
    await expect(added).rejects.toThrow(OverloadedError);
  });

  test("more pending mutations than the limit are refused at once, and taken again when there is room", async () => {
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish, pendingMutationsMax: 2 });
    const taken = [stage.add(submission("a")), stage.add(submission("b"))];
    await expect(stage.add(submission("c"))).rejects.toThrow(OverloadedError);
    expect(Math.max(...stage.usedShares())).toBe(1);
    await nextTurn();
    sent[0]?.confirm();
    await Promise.all(taken);
    expect(Math.max(...stage.usedShares())).toBe(0);
    const again = stage.add(submission("c"));
    await nextTurn();
    sent[1]?.confirm();
    await again;
  });

  test("pending bytes are bounded", async () => {
    const { publish } = manualPublisher();
    const stage = groupCommitWith({ publish, pendingBytesMax: 10_000 });
    void stage.add(submission("a", 10, 900)).catch(() => undefined);
    await expect(stage.add(submission("b", 10, 900))).rejects.toThrow(OverloadedError);
  });

  test("a submission over 512 KiB is refused by its size", async () => {
    const { publish } = manualPublisher();
    const stage = groupCommitWith({ publish, pendingBytesMax: 64 * 1024 * 1024 });
    await expect(stage.add(submission("a", 500, 2_000))).rejects.toThrow(SubmissionTooLargeError);
  });

  test("a message that waited too long for a slot fails without being sent", async () => {
    let nowMs = 0;
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish, monotonicMs: () => nowMs });
    const first = stage.add(submission("a"));
    await nextTurn();
    const late = stage.add(submission("b"));
    const outcome = expect(late).rejects.toThrow(QueueUnavailableError);
    nowMs = 5_001;
    sent[0]?.confirm();
    await first;
    await outcome;
    expect(sent).toHaveLength(1);
    await stage.drain();
  });

  test("drain waits for the message on its way and for the open group", async () => {
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish });
    await stage.drain();
    const all = [stage.add(submission("a"))];
    await nextTurn();
    all.push(stage.add(submission("b")));
    let drained = false;
    const draining = stage.drain().then(() => {
      drained = true;
    });
    sent[0]?.confirm();
    await all[0];
    await nextTurn();
    expect(drained).toBe(false);
    sent[1]?.confirm();
    await draining;
    await Promise.all(all);
  });
});

describe("the limits of the group commit, exactly", () => {
  const bytesOf = (...submissions: Submission[]) =>
    submissions.reduce((sum, one) => sum + Buffer.byteLength(encodeSubmission(one)), 0);
  /** A submission of that many bytes. */
  const ofBytes = (bytes: number, userId = "a") => {
    const shortest = submission(userId, 1, 1);
    return submission(userId, 1, 1 + bytes - bytesOf(shortest));
  };

  test("a message takes as many bytes as it may, and not one more", async () => {
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish, inFlightMax: 9 });
    const half = 64 * 1024;
    const all = [ofBytes(half, "a"), ofBytes(half, "b"), ofBytes(half, "c"), ofBytes(half + 1, "d")].map(
      (one) => stage.add(one),
    );
    await nextTurn();
    expect(sent.map(({ message }) => usersIn(message))).toEqual([["a", "b"], ["c"], ["d"]]);
    for (const { confirm } of sent) confirm();
    await Promise.all(all);
  });

  test("no more messages than its slots are on their way", async () => {
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish, inFlightMax: 2 });
    const all = ["a", "b", "c", "d"].map((user) => stage.add(submission(user, 500)));
    await nextTurn();
    expect(sent).toHaveLength(2);
    all.push(stage.add(submission("e", 500)));
    await nextTurn();
    expect(sent).toHaveLength(2);
    for (let index = 0; index < 5; index++) {
      sent[index]?.confirm();
      await all[index];
      expect(sent.length).toBeLessThanOrEqual(index + 3);
    }
    expect(sent).toHaveLength(5);
  });

  test("a submission of exactly the limit is taken", async () => {
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish, pendingBytesMax: SUBMISSION_BYTES_MAX });
    await expect(stage.add(ofBytes(SUBMISSION_BYTES_MAX + 1))).rejects.toThrow(
      `a submission of ${SUBMISSION_BYTES_MAX + 1} bytes exceeds ${SUBMISSION_BYTES_MAX}`,
    );
    const taken = stage.add(ofBytes(SUBMISSION_BYTES_MAX));
    expect(stage.usedShares()).toEqual([1 / 1_000, 1]);
    await expect(stage.add(submission("b"))).rejects.toThrow(
      `1 mutations (${SUBMISSION_BYTES_MAX} bytes) wait for the queue`,
    );
    await nextTurn();
    sent[0]?.confirm();
    await taken;
  });

  test("a message that has waited exactly as long as it may is sent", async () => {
    let nowMs = 0;
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish, monotonicMs: () => nowMs });
    const first = stage.add(submission("a"));
    await nextTurn();
    const second = stage.add(submission("b"));
    nowMs = 5_000;
    sent[0]?.confirm();
    await first;
    expect(sent).toHaveLength(2);
    const third = stage.add(submission("c"));
    nowMs = 10_001;
    sent[1]?.confirm();
    await second;
    await expect(third).rejects.toThrow("nothing could be sent to the queue for 5000 ms");
  });

  test("says of each message what became of it", async () => {
    let nowMs = 100;
    const ended: CommittedMessage[] = [];
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({
      publish,
      monotonicMs: () => nowMs,
      onMessage: (message) => ended.push(message),
    });
    const first = [stage.add(submission("a", 2)), stage.add(submission("b", 3))];
    await nextTurn();
    nowMs = 130;
    sent[0]?.confirm();
    await Promise.all(first);
    const second = stage.add(submission("c"));
    await nextTurn();
    const error = new QueueFullError("full");
    sent[1]?.refuse(error);
    await expect(second).rejects.toMatchObject({ message: "the queue is full", cause: error });
    expect(ended).toEqual([
      { id: "m1", mutations: 2, impressions: 5, durationMs: 30, confirmed: true },
      { id: "m2", mutations: 1, impressions: 1, durationMs: 0, confirmed: false },
    ]);
  });

  test("a drain waits for what was added since the last one", async () => {
    const { sent, publish } = manualPublisher();
    const stage = groupCommitWith({ publish });
    const events: string[] = [];
    for (const round of [0, 1]) {
      const added = stage.add(submission("a")).then(() => events.push(`added ${round}`));
      const also = stage.add(submission("b"));
      const drained = stage.drain().then(() => events.push(`drained ${round}`));
      await nextTurn();
      await nextTurn();
      expect(events).toHaveLength(2 * round);
      sent[round]?.confirm();
      await Promise.all([added, also, drained]);
    }
    expect(events).toEqual(["added 0", "drained 0", "added 1", "drained 1"]);
  });

  test("asks for one sending a turn, however much is added in it", async () => {
    const { sent, publish } = manualPublisher();
    const immediate = vi.spyOn(globalThis, "setImmediate");
    onTestFinished(() => immediate.mockRestore());
    const stage = groupCommitWith({ publish });
    const all = ["a", "b", "c"].map((user) => stage.add(submission(user)));
    expect(immediate).toHaveBeenCalledTimes(1);
    await nextTurn();
    immediate.mockClear();
    // The slot is taken: the confirmation sends what waits.
    all.push(stage.add(submission("d")));
    expect(immediate).not.toHaveBeenCalled();
    sent[0]?.confirm();
    await all[0];
    sent[1]?.confirm();
    await Promise.all(all);
  });
});
