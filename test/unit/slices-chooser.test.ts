import { describe, expect, it } from "vitest";
import { createSliceChooser, type SliceChooser } from "../../src/scylla/writes/slice-chooser.ts";

const NOON = Date.UTC(2026, 10, 23, 12);
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** The lengths that the chooser gives to so many views, one after another. */
async function lengthsOf(chooser: SliceChooser, postId: string, instantsMs: readonly number[]) {
  const lengths: number[] = [];
  for (const instantMs of instantsMs) lengths.push((await chooser.place(postId, instantMs)).seconds);
  return lengths;
}

const nobody = async () => false;

describe("the slice chooser", () => {
  it("fills a slice and goes on in the next finer length", async () => {
    const chooser = createSliceChooser({ sliceRowsMax: 2, hasFiner: nobody });
    expect(
      await lengthsOf(
        chooser,
        "p",
        Array.from({ length: 8 }, () => NOON),
      ),
    ).toEqual([2_592_000, 2_592_000, 86_400, 86_400, 3_600, 3_600, 60, 60]);
  });

  it("goes on so for that post and that stretch of time only", async () => {
    const chooser = createSliceChooser({ sliceRowsMax: 1, hasFiner: nobody });
    await lengthsOf(chooser, "hot", [NOON, NOON, NOON, NOON]);
    expect(await lengthsOf(chooser, "hot", [NOON + MINUTE_MS, NOON + 60 * MINUTE_MS, NOON + DAY_MS])).toEqual(
      [60, 3_600, 86_400],
    );
    expect(await lengthsOf(chooser, "hot", [NOON + 30 * DAY_MS])).toEqual([2_592_000]);
    expect(await lengthsOf(chooser, "cold", [NOON])).toEqual([2_592_000]);
  });

  it("counts right where many views are placed at once", async () => {
    const chooser = createSliceChooser({ sliceRowsMax: 10, hasFiner: nobody });
    const slices = await Promise.all(Array.from({ length: 25 }, () => chooser.place("p", NOON)));
    const counts = Map.groupBy(slices, ({ seconds }) => seconds);
    expect([...counts].map(([seconds, group]) => [seconds, group.length])).toEqual([
      [2_592_000, 10],
      [86_400, 10],
      [3_600, 5],
    ]);
  });

  it("starts where others are already, and asks once a slice", async () => {
    const asked: string[] = [];
    const chooser = createSliceChooser({
      sliceRowsMax: 1,
      hasFiner: async (postId, { sinceMs, untilMs, finer }) => {
        asked.push(`${postId} ${sinceMs}-${untilMs} ${finer}`);
        return finer === 86_400;
      },
    });
    expect(await lengthsOf(chooser, "p", [NOON, NOON])).toEqual([86_400, 3_600]);
    expect(asked).toEqual([
      `p ${Date.UTC(2026, 10, 3)}-${Date.UTC(2026, 11, 3)} 86400`,
      `p ${Date.UTC(2026, 10, 23)}-${Date.UTC(2026, 10, 24)} 3600`,
      `p ${NOON}-${NOON + 60 * MINUTE_MS} 60`,
    ]);
  });

  it("takes a failed question for a no", async () => {
    const chooser = createSliceChooser({
      sliceRowsMax: 1,
      hasFiner: () => Promise.reject(new Error("the database is down")),
    });
    expect(await lengthsOf(chooser, "p", [NOON])).toEqual([2_592_000]);
  });
});
