import { isPromise, Unanswered } from "./bounded.ts";
import type { ImpressionStorage, MaybePromise } from "./platform.ts";
import { encodeSegment, type Segment } from "./segment.ts";

/** Brings what segments are now into the storage, one write of a segment at a time. */
export interface SegmentWriter {
  /** The storage is to have this one as it is now, or nothing where it is empty. Written with what else changes now. */
  touch(segment: Segment): void;
  /** Writes all that is touched; ends, or resolves, when it is. Never fails: `onUnsaved` is told. */
  save(): MaybePromise<void>;
  /** A write of it has not ended in time, so that nobody knows what the storage has of it. */
  isHanging(segment: Segment): boolean;
}

export function createSegmentWriter(deps: {
  readonly storage: ImpressionStorage;
  /** What the storage answers is waited for so long. */
  readonly bound: <Value>(value: MaybePromise<Value>) => MaybePromise<Value>;
  readonly account: string;
  /** This one is not saved as it is. It is tried again with the next save, whatever that is for. */
  readonly onUnsaved: (segment: Segment) => void;
  /** Told once for each time that the storage begins to fail: a full one fails at every view. */
  readonly onFailure: (error: unknown) => void;
}): SegmentWriter {
  const { storage, bound, account, onUnsaved, onFailure } = deps;
  /** What the storage has of these is not what it should have. */
  const dirty = new Set<Segment>();
  const failed = new Set<Segment>();
  /** Their write is on its way. */
  const pending = new Map<Segment, Promise<void>>();
  /** Not waited for any more; no other write of these is begun before that one has ended. */
  const hanging = new Set<Segment>();
  let saveSoon = false;
  let failing = false;

  function touch(segment: Segment): void {
    dirty.add(segment);
    if (saveSoon) return;
    saveSoon = true;
    void Promise.resolve().then(() => {
      saveSoon = false;
      void save();
    });
  }

  function save(): MaybePromise<void> {
    for (const segment of failed) dirty.add(segment);
    failed.clear();
    const wanted = [...dirty, ...pending.keys()];
    drain();
    if (hanging.size === 0 && wanted.some((segment) => pending.has(segment))) return settled(wanted);
  }

  /** Each write that ends begins those that waited for it, before this looks again. */
  async function settled(wanted: readonly Segment[]): Promise<void> {
    for (;;) {
      const writes = wanted.flatMap((segment) => pending.get(segment) ?? []);
      if (writes.length === 0) return;
      await Promise.all(writes);
    }
  }

  /** Begins all writes that may begin. */
  function drain(): void {
    let left: number;
    do {
      left = dirty.size;
      for (const segment of dirty) {
        const { writing, after } = segment;
        if (writing || (after !== undefined && after.views.length > 0 && !after.stored)) continue;
        dirty.delete(segment);
        write(segment);
      }
    } while (dirty.size < left);
  }

  function write(segment: Segment): void {
    const empty = segment.views.length === 0;
    if (empty && !segment.stored) return;
    try {
      const done = empty
        ? storage.remove(segment.key)
        : storage.set(segment.key, encodeSegment(segment, account));
      if (!isPromise(done)) {
        saved(segment);
        return;
      }
      segment.writing = true;
      const ended = done.then(
        () => end(segment, () => saved(segment)),
        (error: unknown) => end(segment, () => fail(segment, error)),
      );
      pending.set(
        segment,
        Promise.resolve(bound(ended)).catch((error: unknown) => hang(segment, error)),
      );
    } catch (error) {
      fail(segment, error);
    }
  }

  function end(segment: Segment, settle: () => void): void {
    segment.writing = false;
    pending.delete(segment);
    settle();
    // What it wrote may be older than what is known now.
    if (hanging.delete(segment)) dirty.add(segment);
    drain();
  }

  function saved(segment: Segment): void {
    failing = false;
    segment.stored = true;
    if (!dirty.has(segment)) segment.uncorrected = undefined;
  }

  function hang(segment: Segment, error: unknown): void {
    if (!(error instanceof Unanswered)) return;
    pending.delete(segment);
    hanging.add(segment);
    segment.stored = true;
    fail(segment, error);
  }

  function fail(segment: Segment, error: unknown): void {
    failed.add(segment);
    onUnsaved(segment);
    if (!failing) onFailure(error);
    failing = true;
  }

  return { touch, save, isHanging: (segment) => hanging.has(segment) };
}
