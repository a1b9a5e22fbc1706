import { describe, expect, test } from "vitest";
import { DAY_MS } from "../../src/domain/time.ts";
import type { Delivery } from "../../src/ports/impression-queue.ts";
import type { PlanRules } from "../../src/workers/dead-letters.ts";
import { createCrashPlanner, createPlanner, type Plan } from "../../src/workers/planner.ts";

const NOW_MS = 1_790_000_000_000;
const RULES = { stream: "IMPRESSIONS", retentionMs: 90 * DAY_MS, nowMs: NOW_MS, expiryMs: NOW_MS };

function planPull(deliveries: readonly Delivery[], rules: PlanRules): Plan {
  const planner = createPlanner(rules);
  for (const delivery of deliveries) planner.add(delivery);
  return planner.finish();
}

type Fields = Record<string, unknown>;

function delivery(sequence: number, body: string | object, deliveries = 1): Delivery {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return { sequence, body: Buffer.from(text), deliveries, publishedAtMs: NOW_MS };
}

function message(...submissions: { userId: unknown; receivedAtUs?: number; impressions: Fields[] }[]) {
  return { v: 1, submissions: submissions.map((s) => ({ receivedAtUs: NOW_MS * 1_000, ...s })) };
}

const view = (postId: string, viewedAtMs = NOW_MS - 1_000, fields: Fields = {}) => ({
  postId,
  viewedAtMs,
  ...fields,
});

describe("planning a pull", () => {
  test("groups rows by partition across all messages", () => {
    const plan = planPull(
      [
        delivery(1, message({ userId: "a", impressions: [view("hot"), view("x")] })),
        delivery(
          2,
          message({ userId: "b", impressions: [view("hot")] }, { userId: "a", impressions: [view("y")] }),
        ),
      ],
      RULES,
    );
    const shape = (batches: typeof plan.viewerBatches) =>
      batches.map(({ owner, views }) => [
        owner,
        views.map(({ view: { userId, postId } }) => `${userId}:${postId}`),
      ]);
    expect(shape(plan.viewerBatches)).toEqual([
      ["hot", ["a:hot", "b:hot"]],
      ["x", ["a:x"]],
      ["y", ["a:y"]],
    ]);
    expect(shape(plan.historyBatches)).toEqual([
      ["a", ["a:hot", "a:x", "a:y"]],
      ["b", ["b:hot"]],
    ]);
  });

  test("splits a partition at 100 rows and at 30 KiB", () => {
    const impressions = Array.from({ length: 250 }, (_, index) => view(`p${index}`));
    const byRows = planPull([delivery(1, message({ userId: "u", impressions }))], RULES);
    expect(byRows.historyBatches.map(({ views }) => views.length)).toEqual([100, 100, 50]);

    const longIds = Array.from({ length: 100 }, (_, index) => view(`${"😀".repeat(124)}${index}`));
    const byBytes = planPull([delivery(1, message({ userId: "u", impressions: longIds }))], RULES);
    expect(byBytes.historyBatches.map(({ views }) => views.length)).toEqual([54, 46]);
  });

  test("one identity is written once, as it was received last, and stands for every message that holds it", () => {
    const older = delivery(
      1,
      message({
        userId: "u",
        receivedAtUs: NOW_MS * 1_000 - 1,
        impressions: [view("p", NOW_MS, { surface: "OLD" })],
      }),
    );
    const newer = delivery(2, message({ userId: "u", impressions: [view("p", NOW_MS, { surface: "NEW" })] }));
    for (const order of [
      [older, newer],
      [newer, older],
    ]) {
      const plan = planPull(order, RULES);
      const [planned, ...others] = plan.historyBatches.flatMap(({ views }) => views);
      expect(others).toEqual([]);
      expect(planned?.view.surface).toBe("NEW");
      expect(planned?.sources.map(({ delivery: { sequence } }) => sequence)).toEqual(
        order.map((d) => d.sequence),
      );
    }
  });

  test("inside one mutation the last of one identity wins", () => {
    const impressions = [view("p", NOW_MS, { position: 1 }), view("p", NOW_MS, { position: 2 })];
    const plan = planPull([delivery(1, message({ userId: "u", impressions }))], RULES);
    expect(plan.historyBatches[0]?.views.map(({ view: { position } }) => position)).toEqual([2]);
  });

  test("a version that is dead-lettered keeps its place among those of its list", () => {
    const versions = [
      view("p", NOW_MS, { position: -1 }),
      view("p", NOW_MS),
      view("p", NOW_MS, { dwellMs: -1 }),
    ];
    const bad = delivery(1, message({ userId: "u", impressions: [view("q", NOW_MS), ...versions] }));
    const { deadLetters: letters, historyBatches } = planPull([bad], RULES);
    const stored = historyBatches.flatMap(({ views }) =>
      views.map(({ view: { receivedAtUs } }) => receivedAtUs),
    );
    const receivedAtUs = NOW_MS * 1_000;
    expect(stored).toEqual([receivedAtUs, receivedAtUs + 1]);
    for (const [index, shift] of [0, 2].entries()) {
      expect(letters[index]?.letter).toMatchObject({
        receivedAtUs: receivedAtUs + shift,
        payload: { receivedAtUs: receivedAtUs + shift, impression: versions[shift] },
      });
    }
  });

  test("a bad impression becomes one dead letter and costs its neighbours nothing", () => {
    const impressions = [view("good"), view("null"), view("good2", NOW_MS, { position: -1 })];
    const plan = planPull([delivery(7, message({ userId: "u", impressions }), 3)], RULES);
    expect(plan.historyBatches[0]?.views.map(({ view: { postId } }) => postId)).toEqual(["good"]);
    expect(plan.deadLetters.map(({ letter }) => letter)).toEqual([
      expect.objectContaining({
        reason: "INVALID_POST_ID",
        userId: "u",
        receivedAtUs: NOW_MS * 1_000,
        failedAtMs: NOW_MS,
        deliveries: 3,
        payload: { userId: "u", receivedAtUs: NOW_MS * 1_000, impression: impressions[1] },
      }),
      expect.objectContaining({
        reason: "INVALID_FIELD",
        payload: expect.objectContaining({ impression: impressions[2] }),
      }),
    ]);
  });

  test("a dead letter's id depends on the message and the place in it alone", () => {
    const idsOf = (sequence: number, nowMs: number) =>
      planPull([delivery(sequence, message({ userId: "u", impressions: [view(""), view("")] }))], {
        ...RULES,
        nowMs,
      }).deadLetters.map(({ letter }) => letter.id);
    const [first, second] = idsOf(1, NOW_MS);
    expect(first).not.toBe(second);
    expect(idsOf(1, NOW_MS + 5)).toEqual([first, second]);
    expect(idsOf(2, NOW_MS)).not.toContain(first);
  });

  test.each([
    ["not JSON", "nonsense"],
    ["another version", { v: 2, submissions: [] }],
    ["no submissions", { v: 1 }],
    ["no receivedAt", { v: 1, submissions: [{ userId: "u", impressions: [] }] }],
  ])("a message that is %s is one dead letter with its bytes", (_, body) => {
    const bad = delivery(3, body);
    const plan = planPull([bad, delivery(4, message({ userId: "u", impressions: [view("p")] }))], RULES);
    expect(plan.deadLetters).toHaveLength(1);
    expect(plan.deadLetters[0]?.letter).toMatchObject({
      reason: "UNREADABLE_MESSAGE",
      payload: { base64: Buffer.from(bad.body).toString("base64") },
    });
    expect(plan.historyBatches).toHaveLength(1);
  });

  test("values nested too deeply to be encoded again do not affect other impressions", () => {
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
    const good = `{"postId":"p","viewedAtMs":${NOW_MS}}`;
    const inPost = `{"v":1,"submissions":[{"userId":"u","receivedAtUs":${NOW_MS * 1_000},"impressions":[{"postId":${deep}},${good}]}]}`;
    const plan = planPull(
      [
        delivery(1, `{"v":${deep}}`),
        delivery(2, inPost),
        delivery(3, message({ userId: "u", impressions: [view("q")] })),
      ],
      RULES,
    );
    expect(plan.historyBatches[0]?.views.map(({ view: { postId } }) => postId)).toEqual(["p", "q"]);
    expect(plan.deadLetters.map(({ letter }) => letter.reason)).toEqual([
      "UNREADABLE_MESSAGE",
      "INVALID_POST_ID",
    ]);
    expect(() => JSON.stringify(plan.deadLetters.map(({ letter }) => letter))).not.toThrow();
  });

  test("views that expired in the queue are counted, neither stored nor dead-lettered", () => {
    const receivedAtUs = (NOW_MS - 2 * DAY_MS) * 1_000;
    const impressions = [view("late", NOW_MS - 91 * DAY_MS), view("fresh", NOW_MS - 3 * DAY_MS)];
    const late = delivery(1, message({ userId: "u", receivedAtUs, impressions }));
    const plan = planPull([late], RULES);
    expect(plan.expired).toEqual([late]);
    expect(plan.deadLetters).toEqual([]);
    expect(plan.historyBatches[0]?.views.map(({ view: { postId } }) => postId)).toEqual(["fresh"]);
  });
});

describe("a plan has no rows for", () => {
  test("views of a message that is stored already, each once", () => {
    const [stored, other] = [
      delivery(
        1,
        message({ userId: "u", impressions: [view("p"), view("q"), { postId: "", viewedAtMs: NOW_MS }] }),
      ),
      delivery(2, message({ userId: "u", impressions: [view("r")] })),
    ];
    const plan = planPull([stored, other], { ...RULES, isStored: (asked) => asked === stored });
    expect(plan.stored).toEqual([stored, stored]);
    expect(plan.deadLetters).toHaveLength(1);
    expect(plan.viewerBatches.map(({ owner }) => owner)).toEqual(["r"]);
    expect(planPull([other], RULES).stored).toEqual([]);
  });

  test("a message that is no JSON: one dead letter of the whole, which says why", () => {
    const unreadable = delivery(5, "{");
    const plan = planPull(
      [unreadable, delivery(6, message({ userId: "u", impressions: [view("p")] }))],
      RULES,
    );
    expect(plan.deadLetters.map(({ delivery: of, letter }) => [of, letter.reason, letter.detail])).toEqual([
      [unreadable, "UNREADABLE_MESSAGE", "the message is not UTF-8 JSON"],
    ]);
    expect(plan.historyBatches).toHaveLength(1);
  });

  test("a message that the planner itself cannot handle: it does not affect others", () => {
    const isStored = (asked: Delivery) => {
      if (asked.sequence === 7) throw new Error("a fault of ours");
      return false;
    };
    const plan = planPull(
      [7, 8].map((sequence) =>
        delivery(sequence, message({ userId: "u", impressions: [view(`p${sequence}`)] })),
      ),
      { ...RULES, isStored },
    );
    expect(plan.deadLetters.map(({ letter }) => [letter.reason, letter.detail])).toEqual([
      ["UNREADABLE_MESSAGE", "the message could not be handled: a fault of ours"],
    ]);
    expect(plan.viewerBatches.map(({ owner }) => owner)).toEqual(["p8"]);
  });
});

describe("the plan for a message that ends its workers", () => {
  const poison = delivery(3, message({ userId: "u", impressions: [view("p"), view("q")] }));
  const planCrash = (step: "DEAD_LETTER_EACH" | "DEAD_LETTER_WHOLE") => {
    const planner = createCrashPlanner(RULES, step, ["w1", "w2", "w3"]);
    planner.add(poison);
    return planner.finish();
  };

  test("is a dead letter for each impression, and nothing else", () => {
    const { deadLetters, ...rest } = planCrash("DEAD_LETTER_EACH");
    expect(deadLetters.map(({ letter }) => letter.reason)).toEqual(["CRASHED_WORKER", "CRASHED_WORKER"]);
    expect(rest).toEqual({ viewerBatches: [], historyBatches: [], expired: [], stored: [] });
  });

  test("is one dead letter of its bytes where reading them is what ends workers", () => {
    const { deadLetters } = planCrash("DEAD_LETTER_WHOLE");
    expect(deadLetters.map(({ letter }) => letter.payload)).toEqual([
      { base64: Buffer.from(poison.body).toString("base64") },
    ]);
  });
});

test("a batch takes as many bytes as it may, surfaces included, and not one more", () => {
  // A row weighs its texts and 64 bytes: 1 of the user, 4 a character of the post, and the surface. 40 of 768 are 30 KiB.
  const rows = (surfaceBytes: number) =>
    Array.from({ length: 80 }, (_, index) =>
      view(`${"😀".repeat(124)}${String(index).padStart(4, "0")}`, NOW_MS - 1, {
        surface: "😀".repeat(47).padEnd(surfaceBytes - 94, "s"),
      }),
    );
  const sizesOf = (impressions: Fields[]) => {
    const plan = planPull([delivery(1, message({ userId: "u", impressions }))], RULES);
    return plan.historyBatches.map(({ views }) => views.length);
  };
  const surfaceBytes = 768 - 64 - 1 - (124 * 4 + 4);
  expect(sizesOf(rows(surfaceBytes))).toEqual([40, 40]);
  expect(sizesOf(rows(surfaceBytes + 1))).toEqual([39, 39, 2]);
});
