import { describe, expect, it } from "vitest";
import { fnv1aFmix32 } from "../../src/domain/shard-hash.ts";
import {
  FINEST_SLICE_SECONDS,
  FINEST_SLICE_SHARDS,
  finerThan,
  SLICE_LENGTHS_SECONDS,
  shardOf,
  shardsIn,
  sliceAt,
  sliceEndMs,
  slicesCovering,
} from "../../src/scylla/slices.ts";

const INSTANTS_MS = [
  0,
  1,
  59_999,
  60_000,
  1_790_000_000_000,
  Date.UTC(2026, 10, 23, 23, 59, 59, 999),
  Date.UTC(2026, 10, 24),
];

describe("slices", () => {
  it("begin at whole multiples of their length since the epoch", () => {
    // Part of the stored format: rows are found by these numbers. 3 November is day 20,760 = 30 * 692.
    const noon = Date.UTC(2026, 10, 23, 12, 34, 56, 789);
    expect(slicesCovering(noon)).toEqual([
      { seconds: 2_592_000, startMs: Date.UTC(2026, 10, 3) },
      { seconds: 86_400, startMs: Date.UTC(2026, 10, 23) },
      { seconds: 3_600, startMs: Date.UTC(2026, 10, 23, 12) },
      { seconds: 60, startMs: Date.UTC(2026, 10, 23, 12, 34) },
    ]);
  });

  it.each(SLICE_LENGTHS_SECONDS)("of %i s cover their start and not their end", (seconds) => {
    for (const instantMs of INSTANTS_MS) {
      const slice = sliceAt(instantMs, seconds);
      expect(slice.startMs).toBeLessThanOrEqual(instantMs);
      expect(sliceEndMs(slice)).toBeGreaterThan(instantMs);
      expect(sliceAt(slice.startMs, seconds)).toEqual(slice);
      expect(sliceAt(sliceEndMs(slice), seconds).startMs).toBe(sliceEndMs(slice));
    }
  });

  it("nest: each lies inside the coarser one", () => {
    for (const instantMs of INSTANTS_MS) {
      const slices = slicesCovering(instantMs);
      for (const [index, fine] of slices.slice(1).entries()) {
        const coarse = slices[index];
        if (coarse === undefined) throw new Error("unreachable");
        expect(fine.startMs).toBeGreaterThanOrEqual(coarse.startMs);
        expect(sliceEndMs(fine)).toBeLessThanOrEqual(sliceEndMs(coarse));
      }
    }
  });

  it("go on in the next finer length, down to a minute", () => {
    expect(SLICE_LENGTHS_SECONDS.map(finerThan)).toEqual([86_400, 3_600, 60, null]);
    expect(SLICE_LENGTHS_SECONDS.map(shardsIn)).toEqual([1, 1, 1, FINEST_SLICE_SHARDS]);
  });
});

describe("the shard hash", () => {
  // Worked out by another implementation of FNV-1a and fmix32. Part of the stored format: never to change.
  it.each([
    ["", 0xab3e7c0b],
    ["a", 0x1a80b1b3],
    ["b", 0x82c46232],
    ["foobar", 0x0c0da6dc],
    ["user-1", 0x778f8aec],
    ["user-2", 0x32dad0d1],
    ["user-3", 0x1d5f1c08],
    ["user-4", 0xf96565b2],
    ["é", 0x8e4756c7],
    ["\u{1f600}", 0x3303a80a],
    ["x".repeat(128), 0x5a3e47dc],
  ])("of %j is what it always was", (id, hash) => {
    expect(fnv1aFmix32(id)).toBe(hash);
  });

  it("spreads the users of a finest slice, and of no other", () => {
    expect(["foobar", "user-2", "user-4", "a"].map((user) => shardOf(FINEST_SLICE_SECONDS, user))).toEqual([
      0, 1, 2, 3,
    ]);
    expect(["foobar", "user-2", "user-4", "a"].map((user) => shardOf(3_600, user))).toEqual([0, 0, 0, 0]);
    // Ids that count up in steps of four are the ones that a weaker hash would put together.
    for (const step of [1, 4, 256]) {
      const users = Array.from({ length: 10_000 }, (_, index) => `user-${index * step}`);
      const sizes = Map.groupBy(users, (user) => shardOf(FINEST_SLICE_SECONDS, user));
      expect(sizes.size).toBe(FINEST_SLICE_SHARDS);
      for (const shard of sizes.values()) expect(Math.abs(shard.length - 2_500)).toBeLessThan(250);
    }
  });
});
