import { describe, expect, it } from "vitest";
import { deadLetterId } from "../../src/domain/dead-letter.ts";
import { erasedThroughUs } from "../../src/domain/erasure.ts";
import { identityOf, laterReceived } from "../../src/domain/impression.ts";
import { unseenAmong } from "../../src/domain/walk.ts";
import { viewOf } from "../support/views.ts";

describe("identityOf", () => {
  const view = viewOf({ userId: "u", postId: "p", viewedAtMs: 1 });

  it("is the user, the post and the instant, and nothing else", () => {
    expect(identityOf({ ...view, receivedAtUs: 9, surface: "HOME", position: 1, dwellMs: 1 })).toBe(
      identityOf(view),
    );
    const others = [
      { ...view, userId: "v" },
      { ...view, postId: "q" },
      { ...view, viewedAtMs: 2 },
      { ...view, userId: "up", postId: "" },
      { ...view, postId: "p1", viewedAtMs: 0 },
    ];
    expect(new Set([view, ...others].map(identityOf)).size).toBe(6);
  });
});

describe("laterReceived", () => {
  it("is the later received, and the second of two received at once", () => {
    const at = (receivedAtUs: number) => viewOf({ userId: "u", postId: "p", viewedAtMs: 1, receivedAtUs });
    const [early, late, twin] = [at(1), at(2), at(2)];
    expect(laterReceived(early, late)).toBe(late);
    expect(laterReceived(late, early)).toBe(late);
    expect(laterReceived(late, twin)).toBe(twin);
  });
});

describe("deadLetterId", () => {
  it("is the same for the same place, another for any other", () => {
    expect(deadLetterId("IMPRESSIONS", 12, 3)).toBe(deadLetterId("IMPRESSIONS", 12, 3));
    const ids = [
      deadLetterId("IMPRESSIONS", 12, 3),
      deadLetterId("IMPRESSIONS", 1, 23),
      deadLetterId("IMPRESSIONS", 123, 0),
      deadLetterId("OTHER", 12, 3),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
  });

  it("does not change between versions: what is stored keeps its id", () => {
    expect(deadLetterId("IMPRESSIONS", 12, 3)).toBe("41256190893eef159961dc41943c4ba6");
  });
});

describe("erasedThroughUs", () => {
  it("covers what hosts with a clock up to 5 seconds ahead have received", () => {
    expect(erasedThroughUs({ requestedAtUs: 1_000_000 })).toBe(6_000_000);
  });
});

describe("unseenAmong", () => {
  it("keeps the order, and each candidate once, at its first place", () => {
    expect(unseenAmong(["c", "a", "b", "a", "d", "c"], new Set(["b", "x"]))).toEqual(["c", "a", "d"]);
    expect(unseenAmong([], new Set(["a"]))).toEqual([]);
    expect(unseenAmong(["a", "a"], new Set(["a"]))).toEqual([]);
  });
});
