import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DAY_MS, MINUTE_MS } from "../../src/domain/time.ts";
import { idProblem, isExpired, judge, type UnjudgedImpression } from "../../src/domain/validation.ts";

const RECEIVED_AT_MS = 1_790_000_000_000;
const RECEIVED_AT_US = RECEIVED_AT_MS * 1_000;
const RETENTION_MS = 90 * DAY_MS;

describe("idProblem", () => {
  it.each([
    "u",
    "0",
    " ",
    " padded ",
    "NULL",
    "Null",
    "nullable",
    "undefined1",
    "nan",
    "a/b?c=d#e",
    "💥",
    "\ufffe",
    "\u200b",
    "é",
    "e\u0301",
    "x".repeat(128),
    "\u{1f600}".repeat(128),
  ])("takes %j", (id) => {
    expect(idProblem(id)).toBeNull();
  });

  it.each<[unknown, RegExp]>([
    [undefined, /string/],
    [null, /string/],
    [5, /string/],
    [["u"], /string/],
    [{ id: "u" }, /string/],
    ["", /empty/],
    ["x".repeat(129), /at most 128/],
    ["\u{1f600}".repeat(129), /at most 128/],
    ["x".repeat(1_000_000), /at most 128/],
    ["a\u0000", /control/],
    ["\n", /control/],
    ["a\tb", /control/],
    ["\u007f", /control/],
    ["\u0085", /control/],
    ["\ud800", /surrogate/],
    ["a\udc00b", /surrogate/],
    ["\udc00\ud800", /surrogate/],
    ["null", /real id/],
    ["undefined", /real id/],
    ["NaN", /real id/],
    ["[object Object]", /real id/],
  ])("refuses %j", (id, problem) => {
    expect(idProblem(id)).toMatch(problem);
  });

  it("counts code points, not UTF-16 units", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("a", "é", "\uff61", "\u{1f600}"), { minLength: 1, maxLength: 140 }),
        (points) => {
          expect(idProblem(points.join("")) === null).toBe(points.length <= 128);
        },
      ),
    );
  });
});

describe("judge", () => {
  const GOOD = {
    postId: "p",
    viewedAtMs: RECEIVED_AT_MS - 1_000,
    surface: "HOME",
    position: 3,
    dwellMs: 1_500,
  };
  const verdict = (changed: UnjudgedImpression, userId: unknown = "u") =>
    judge(userId, RECEIVED_AT_US, { ...GOOD, ...changed }, RETENTION_MS);

  it("makes a view of a good impression", () => {
    expect(verdict({})).toEqual({
      kind: "valid",
      view: { ...GOOD, userId: "u", receivedAtUs: RECEIVED_AT_US },
    });
  });

  it("takes what was left out for null", () => {
    const { postId, viewedAtMs } = GOOD;
    expect(judge("u", RECEIVED_AT_US, { postId, viewedAtMs }, RETENTION_MS)).toMatchObject({
      kind: "valid",
      view: { surface: null, position: null, dwellMs: null },
    });
    expect(verdict({ surface: null, position: undefined, dwellMs: null })).toMatchObject({ kind: "valid" });
  });

  it.each<[string, UnjudgedImpression]>([
    ["the first position", { position: 0 }],
    ["the last position", { position: 100_000 }],
    ["no time on the screen", { dwellMs: 0 }],
    ["a day on the screen", { dwellMs: 86_400_000 }],
    ["an empty surface", { surface: "" }],
    ["the longest surface", { surface: "\u{1f600}".repeat(64) }],
    ["the latest instant", { viewedAtMs: RECEIVED_AT_MS + 5 * MINUTE_MS }],
    ["the earliest instant", { viewedAtMs: RECEIVED_AT_MS - RETENTION_MS }],
  ])("takes %s", (_name, changed) => {
    expect(verdict(changed).kind).toBe("valid");
  });

  it.each<[string, string, UnjudgedImpression, unknown?]>([
    ["INVALID_USER_ID", "no user", {}, null],
    ["INVALID_USER_ID", "an empty user", {}, ""],
    ["INVALID_USER_ID", "a user and a post that are wrong: the user first", { postId: 5 }, 5],
    ["INVALID_POST_ID", "no post", { postId: undefined }],
    ["INVALID_POST_ID", "a post that is no text", { postId: 17 }],
    ["INVALID_POST_ID", "a junk post", { postId: "undefined" }],
    ["INVALID_POST_ID", "a post and a field that are wrong: the post first", { postId: "", position: -1 }],
    ["INVALID_FIELD", "no instant", { viewedAtMs: undefined }],
    ["INVALID_FIELD", "an instant as text", { viewedAtMs: "2026-01-01T00:00:00Z" }],
    ["INVALID_FIELD", "half a millisecond", { viewedAtMs: RECEIVED_AT_MS - 0.5 }],
    ["INVALID_FIELD", "no number", { viewedAtMs: Number.NaN }],
    ["INVALID_FIELD", "an endless instant", { viewedAtMs: Number.NEGATIVE_INFINITY }],
    ["INVALID_FIELD", "a surface that is no text", { surface: 5 }],
    ["INVALID_FIELD", "a long surface", { surface: "x".repeat(65) }],
    ["INVALID_FIELD", "a surface with half a pair", { surface: "\ud83d" }],
    ["INVALID_FIELD", "a position below 0", { position: -1 }],
    ["INVALID_FIELD", "a position above the last", { position: 100_001 }],
    ["INVALID_FIELD", "half a position", { position: 0.5 }],
    ["INVALID_FIELD", "a position as text", { position: "1" }],
    ["INVALID_FIELD", "a dwell time below 0", { dwellMs: -1 }],
    ["INVALID_FIELD", "more than a day on the screen", { dwellMs: 86_400_001 }],
    ["INVALID_FIELD", "a dwell time as an object", { dwellMs: {} }],
    ["INVALID_FIELD", "an object that cannot be made a text", { position: { toString: 1, valueOf: 1 } }],
    ["VIEWED_IN_FUTURE", "just too far ahead", { viewedAtMs: RECEIVED_AT_MS + 5 * MINUTE_MS + 1 }],
    ["VIEWED_IN_FUTURE", "seconds sent as milliseconds of another age", { viewedAtMs: RECEIVED_AT_US }],
    ["OLDER_THAN_RETENTION", "just too old", { viewedAtMs: RECEIVED_AT_MS - RETENTION_MS - 1 }],
    ["OLDER_THAN_RETENTION", "seconds sent as milliseconds", { viewedAtMs: 1_790_000_000 }],
  ])("%s: %s", (reason, _name, changed, userId = "u") => {
    const judgement = verdict(changed, userId);
    expect(judgement).toMatchObject({ kind: "rejected", rejection: { reason } });
    if (judgement.kind === "rejected") expect(judgement.rejection.detail).toMatch(/^\w+ \S/);
  });

  it("gives a verdict, never an exception, on anything", () => {
    const anything = fc.anything();
    fc.assert(
      fc.property(
        anything,
        fc.record({
          postId: anything,
          viewedAtMs: anything,
          surface: anything,
          position: anything,
          dwellMs: anything,
        }),
        (userId, impression) => {
          expect(judge(userId, RECEIVED_AT_US, impression, RETENTION_MS).kind).toBeOneOf([
            "valid",
            "rejected",
          ]);
        },
      ),
    );
  });
});

describe("isExpired", () => {
  it("holds from the instant at which the retention is over", () => {
    const judgement = judge("u", RECEIVED_AT_US, { postId: "p", viewedAtMs: RECEIVED_AT_MS }, RETENTION_MS);
    if (judgement.kind !== "valid") throw new Error("expected a view");
    expect(isExpired(judgement.view, RECEIVED_AT_MS + RETENTION_MS - 1, RETENTION_MS)).toBe(false);
    expect(isExpired(judgement.view, RECEIVED_AT_MS + RETENTION_MS, RETENTION_MS)).toBe(true);
  });
});

describe("why an impression is rejected", () => {
  const detailOf = (impression: Partial<UnjudgedImpression>) => {
    const judgement = judge(
      "u",
      RECEIVED_AT_US,
      { postId: "p", viewedAtMs: RECEIVED_AT_MS, ...impression },
      RETENTION_MS,
    );
    return judgement.kind === "rejected" ? judgement.rejection.detail : null;
  };

  it("says how far off the instant is, in seconds", () => {
    expect(detailOf({ viewedAtMs: RECEIVED_AT_MS + 3_600_000 })).toBe(
      "viewedAt is 3600 s after it was received",
    );
    expect(detailOf({ viewedAtMs: RECEIVED_AT_MS - RETENTION_MS - 1_000 })).toBe(
      "viewedAt is 7776001 s before it was received",
    );
  });

  it("says what came in place of a number, and no more of it than is needed", () => {
    expect(detailOf({ position: {} })).toMatch(/from 0 to \d+, not an object$/);
    expect(detailOf({ position: "x".repeat(100) })).toMatch(/, not x{32}$/);
    expect(detailOf({ dwellMs: -1 })).toMatch(/, not -1$/);
  });

  it("takes nothing for an instant but whole milliseconds", () => {
    for (const viewedAtMs of ["2026", null, 1.5, Number.NaN, 2 ** 60])
      expect(detailOf({ viewedAtMs }), String(viewedAtMs)).toBe("viewedAt must be an instant");
  });
});
