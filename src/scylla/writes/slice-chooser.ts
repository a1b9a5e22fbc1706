import { LRUCache } from "lru-cache";
import { finerThan, SLICE_LENGTHS_SECONDS, type Slice, sliceAt, sliceEndMs, sliceKey } from "../slices.ts";

/** Slices whose rows are counted at once: about 20 MB. */
const COUNTED_SLICES_MAX = 100_000;

/**
 * Decides, for this process alone, into which slice the next view of a post goes: the coarsest that covers its instant
 * and into which this process has not yet written its share of rows.
 *
 * Processes need not agree: readers look into every slice that has a marker. So a count that is wrong costs nothing but
 * the size of a slice: it counts tries, not rows, and starts anew with the process and when a post that has long been
 * cold has been forgotten.
 */
export interface SliceChooser {
  /** Chooses, and counts the row. At once where this process knows the slices; a promise is a few times as dear. */
  place(postId: string, viewedAtMs: number): Slice | Promise<Slice>;
}

export function createSliceChooser(options: {
  /** This process's share of a slice. */
  readonly sliceRowsMax: number;
  /**
   * Whether anyone has gone on to slices of the finer length inside this one. Asked once a slice, when this process
   * comes to it; it then starts where the others are instead of filling the slice once more. Only a hint: "no" is
   * always a right answer.
   */
  readonly hasFiner: (
    postId: string,
    within: { sinceMs: number; untilMs: number; finer: Slice["seconds"] },
  ) => Promise<boolean>;
}): SliceChooser {
  const counters = new LRUCache<string, Counter>({ max: COUNTED_SLICES_MAX });

  function counterOf(postId: string, slice: Slice, finer: Slice["seconds"]): Counter {
    const key = `${sliceKey(slice)} ${postId}`;
    const known = counters.get(key);
    if (known !== undefined) return known;
    const counter: Counter = { rows: 0, hint: null };
    counter.hint = options
      .hasFiner(postId, { sinceMs: slice.startMs, untilMs: sliceEndMs(slice), finer })
      .then(
        (isFull) => {
          if (isFull) counter.rows = options.sliceRowsMax;
        },
        () => undefined,
      )
      .then(() => {
        counter.hint = null;
      });
    counters.set(key, counter);
    return counter;
  }

  function place(postId: string, viewedAtMs: number): Slice | Promise<Slice> {
    for (const seconds of SLICE_LENGTHS_SECONDS) {
      const slice = sliceAt(viewedAtMs, seconds);
      const finer = finerThan(seconds);
      if (finer === null) return slice;
      const counter = counterOf(postId, slice, finer);
      if (counter.hint !== null) return counter.hint.then(() => place(postId, viewedAtMs));
      if (counter.rows < options.sliceRowsMax) {
        counter.rows++;
        return slice;
      }
    }
    throw new Error("the finest slice takes every view");
  }

  return { place };
}

interface Counter {
  rows: number;
  /** Resolves when the database has said whether there are finer slices; null once it has. */
  hint: Promise<void> | null;
}
