import { describe, expect, it } from "vitest";
import { deadLetterId } from "../../src/domain/dead-letter.ts";
import { erasedThroughUs } from "../../src/domain/erasure.ts";
import { identityOf } from "../../src/domain/impression.ts";
import {
  DETAILS_RANKS,
  type Details,
  detailsRank,
  earlierVersions,
  laterReceived,
} from "../../src/domain/versions.ts";
import { unseenAmong } from "../../src/domain/walk.ts";
import { viewOf } from "../kit/views.ts";

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
  const at = (receivedAtUs: number, details: Partial<Details> = {}) =>
    viewOf({ userId: "u", postId: "p", viewedAtMs: 1, receivedAtUs, ...details });

  it("is the later received, whatever it says", () => {
    for (const position of [null, 0, 1, 2, 3]) {
      const [early, late] = [at(1, { position }), at(2)];
      expect(laterReceived(early, late)).toBe(late);
      expect(laterReceived(late, early)).toBe(late);
    }
  });

  it("is the same one of two received at once, in either order, and orders any number of them", () => {
    const surfaces = [null, "", "HOME", "null", '"', "\u{1f600}", "\uff61"];
    const versions = surfaces.flatMap((surface) =>
      [null, 0, 100_000].flatMap((position) =>
        [null, 0, 86_400_000].map((dwellMs) => at(2, { surface, position, dwellMs })),
      ),
    );
    for (const first of versions) {
      for (const second of versions) {
        expect(laterReceived(first, second)).toBe(first === second ? second : laterReceived(second, first));
      }
    }
    const greatest = versions.reduce(laterReceived);
    expect(versions.toReversed().reduce(laterReceived)).toBe(greatest);
  });

  it("does not change between versions of the service: rows of two releases are compared", () => {
    const ranks = [{}, { surface: "HOME", position: 3, dwellMs: 1_200 }, { surface: "\u{1f600}" }].map(
      (details) => detailsRank(at(1, details)),
    );
    expect(ranks).toEqual([1_144, 2_659, 381]);
    expect(DETAILS_RANKS).toBe(2_880);
  });
});

describe("earlierVersions", () => {
  it("counts, for each impression of a list, the versions of its view before it", () => {
    const list = [
      { postId: "p", viewedAtMs: 1 },
      { postId: "q", viewedAtMs: 1 },
      { postId: "p", viewedAtMs: 1, position: -1 },
      { postId: "p", viewedAtMs: 2 },
      { postId: { toString: 7 }, viewedAtMs: 1 },
      {},
      { postId: "p", viewedAtMs: 1 },
      {},
    ];
    expect(earlierVersions(list)).toEqual([0, 0, 1, 0, 0, 0, 2, 0]);
    expect(earlierVersions(list.slice(0, 2))).toEqual([0, 0]);
    expect(earlierVersions([])).toBeNull();
    expect(
      earlierVersions([
        { postId: "p", viewedAtMs: 1 },
        { postId: "p", viewedAtMs: 2 },
      ]),
    ).toBeNull();
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
