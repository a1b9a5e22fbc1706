import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ANYBODY, mayDo, OPERATOR, SCOPES } from "../../src/domain/caller.ts";
import { CUT_OFF_NOTE, isCutOff, VALUES_CUT_NOTE } from "../../src/domain/dead-letter.ts";
import { BODY_BYTES_MAX, RETENTION_MS_MAX } from "../../src/domain/limits.ts";
import { fnv1aFmix32 } from "../../src/domain/shard-hash.ts";
import { userHash } from "../../src/domain/user-hash.ts";
import {
  compareDetails,
  type Details,
  detailsRank,
  earlierVersions,
  laterReceived,
  versionKey,
} from "../../src/domain/versions.ts";
import { viewOf } from "../kit/views.ts";

/** Two different details with one rank: there are more than two million of them for 2,880 ranks. */
function sameRank(): readonly [Details, Details] {
  const first: Details = { surface: "HOME", position: 0, dwellMs: 0 };
  for (let position = 1; position < 100_000; position++) {
    const second: Details = { surface: "HOME", position, dwellMs: 0 };
    if (detailsRank(second) === detailsRank(first)) return [first, second];
  }
  throw new Error("no two have the same rank");
}

describe("versions that were received at once", () => {
  test("are ordered by their rank, and by their text where that is the same", () => {
    const [first, second] = sameRank();
    expect(Math.sign(compareDetails(first, second))).toBe("0 0" < `${second.position} 0` ? -1 : 1);
    expect(compareDetails(second, first)).toBe(-compareDetails(first, second));
    expect(compareDetails(first, { ...first })).toBe(0);
  });

  test("have an order: it is antisymmetric, and by rank first", () => {
    const details = fc.record({
      surface: fc.option(fc.string({ maxLength: 3 })),
      position: fc.option(fc.nat(5)),
      dwellMs: fc.option(fc.nat(5)),
    });
    fc.assert(
      fc.property(details, details, (a, b) => {
        const byRank = Math.sign(detailsRank(a) - detailsRank(b));
        const order = Math.sign(compareDetails(a, b));
        expect(order).toBe(-Math.sign(compareDetails(b, a)) + 0 || 0);
        if (byRank !== 0) expect(order).toBe(byRank);
        else expect(order === 0).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });

  test("give the second of two that are the same", () => {
    const view = viewOf({ userId: "u", postId: "p", viewedAtMs: 1 });
    const again = { ...view };
    expect(laterReceived(view, again)).toBe(again);
  });
});

describe("earlier versions in a list", () => {
  const at = (postId: unknown, viewedAtMs: unknown) => ({ postId, viewedAtMs });

  test("are counted only where two stand at one instant", () => {
    expect(earlierVersions([at("p", 1)])).toBeNull();
    expect(earlierVersions([at("p", 1), at("p", 2)])).toBeNull();
    expect(earlierVersions([at("p", 1), at("q", 1), at("p", 1), at("p", 1)])).toEqual([0, 0, 1, 2]);
  });

  test("have no key where the view has none", () => {
    expect(versionKey(at("p", 1))).toBe("1 p");
    expect([versionKey(at(1, 1)), versionKey(at("p", "1")), versionKey(at("p", null))]).toEqual([
      null,
      null,
      null,
    ]);
    expect(earlierVersions([at("p", "1"), at("p", "1")])).toEqual([0, 0]);
  });
});

test("an operator may do what every caller may without tokens, and is not limited", () => {
  expect(ANYBODY.limited).toBe(true);
  expect(OPERATOR.limited).toBe(false);
  for (const scope of SCOPES) expect([mayDo(ANYBODY, scope), mayDo(OPERATOR, scope)]).toEqual([true, true]);
});

test("a letter is cut off where its detail ends so", () => {
  expect(isCutOff({ detail: `too long ${CUT_OFF_NOTE}` })).toBe(true);
  expect(isCutOff({ detail: `too long ${VALUES_CUT_NOTE}` })).toBe(true);
  expect(isCutOff({ detail: `${CUT_OFF_NOTE} was said` })).toBe(false);
  expect(isCutOff({ detail: `${VALUES_CUT_NOTE} was said` })).toBe(false);
});

test("limits are as docs/semantics.md says", () => {
  expect(BODY_BYTES_MAX).toBe(262_144);
  expect(RETENTION_MS_MAX / 86_400_000).toBeGreaterThanOrEqual(365);
});

test("an erased user is kept as a hash of 128 bits under the key, in the stored format", () => {
  const key = Buffer.alloc(32, 7);
  expect(userHash(key, "maria")).toBe("hash:557c261700fe35d2f4c27641711e74a6");
  expect(userHash(key, "é")).toMatch(/^hash:[0-9a-f]{32}$/);
  expect(userHash(key, "maria")).not.toBe(userHash(Buffer.alloc(32, 8), "maria"));
});

test("the shard hash takes the UTF-8 bytes, of ASCII and of all else", () => {
  const slowly = (id: string) => {
    let hash = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(id)) hash = Math.imul(hash ^ byte, 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) >>> 0;
  };
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 20 }), (id) => {
      expect(fnv1aFmix32(id)).toBe(slowly(id));
    }),
  );
  for (const id of ["\u007f", "a\u007f", "\u0080", "é", "\u{1f600}"])
    expect(fnv1aFmix32(id)).toBe(slowly(id));
});
