import { isPromise, Unanswered } from "./bounded.ts";
import { encodeChunk, type OutboxChunk } from "./outbox-chunk.ts";
import type { ImpressionStorage, MaybePromise } from "./platform.ts";

/** Writes the current state of chunks to the storage, at most one write of a chunk at a time. */
export interface ChunkWriter {
  /** Marks the chunk as changed. All chunks that are touched in one task are written together; an empty one is removed. */
  touch(chunk: OutboxChunk): void;
  /** Writes all touched chunks. Returns after that, or a promise of it. Never fails: failures go to `onUnsaved`. */
  save(): MaybePromise<void>;
  /** A write of the chunk timed out, so its stored state is unknown. */
  isHanging(chunk: OutboxChunk): boolean;
}

export function createChunkWriter(deps: {
  readonly storage: ImpressionStorage;
  /** Limits how long the writer waits for the storage. */
  readonly bound: <Value>(value: MaybePromise<Value>) => MaybePromise<Value>;
  readonly account: string;
  /** The chunk could not be written. The next save tries it again. */
  readonly onUnsaved: (chunk: OutboxChunk) => void;
  /** Called once whenever the storage begins to fail: a full storage fails at every view. */
  readonly onFailure: (error: unknown) => void;
}): ChunkWriter {
  const { storage, bound, account, onUnsaved, onFailure } = deps;
  /** Changed since their last write. */
  const dirty = new Set<OutboxChunk>();
  const failed = new Set<OutboxChunk>();
  /** Writes that are running. */
  const pending = new Map<OutboxChunk, Promise<void>>();
  /** Writes that timed out. No other write of these chunks begins before the running one ends. */
  const hanging = new Set<OutboxChunk>();
  let saveSoon = false;
  let failing = false;

  function touch(chunk: OutboxChunk): void {
    dirty.add(chunk);
    if (saveSoon) return;
    saveSoon = true;
    void Promise.resolve().then(() => {
      saveSoon = false;
      void save();
    });
  }

  function save(): MaybePromise<void> {
    for (const chunk of failed) dirty.add(chunk);
    failed.clear();
    const wanted = [...dirty, ...pending.keys()];
    drain();
    if (hanging.size === 0 && wanted.some((chunk) => pending.has(chunk))) return untilWritten(wanted);
  }

  /** A write that ends begins the writes that waited for it, before the next turn of this loop. */
  async function untilWritten(wanted: readonly OutboxChunk[]): Promise<void> {
    for (;;) {
      const writes = wanted.flatMap((chunk) => pending.get(chunk) ?? []);
      if (writes.length === 0) return;
      await Promise.all(writes);
    }
  }

  /** Begins every write that need not wait for another one. */
  function drain(): void {
    let left: number;
    do {
      left = dirty.size;
      for (const chunk of dirty) {
        const { writing, after } = chunk;
        if (writing || (after !== undefined && after.views.length > 0 && !after.stored)) continue;
        dirty.delete(chunk);
        write(chunk);
      }
    } while (dirty.size < left);
  }

  function write(chunk: OutboxChunk): void {
    const empty = chunk.views.length === 0;
    if (empty && !chunk.stored) return;
    try {
      const done = empty ? storage.remove(chunk.key) : storage.set(chunk.key, encodeChunk(chunk, account));
      if (!isPromise(done)) {
        saved(chunk);
        return;
      }
      chunk.writing = true;
      const ended = done.then(
        () => end(chunk, () => saved(chunk)),
        (error: unknown) => end(chunk, () => fail(chunk, error)),
      );
      pending.set(
        chunk,
        Promise.resolve(bound(ended)).catch((error: unknown) => hang(chunk, error)),
      );
    } catch (error) {
      fail(chunk, error);
    }
  }

  function end(chunk: OutboxChunk, recordResult: () => void): void {
    chunk.writing = false;
    pending.delete(chunk);
    recordResult();
    // The late write stored an old state.
    if (hanging.delete(chunk)) dirty.add(chunk);
    drain();
  }

  function saved(chunk: OutboxChunk): void {
    failing = false;
    chunk.stored = true;
    if (!dirty.has(chunk)) chunk.uncorrected = undefined;
  }

  function hang(chunk: OutboxChunk, error: unknown): void {
    if (!(error instanceof Unanswered)) return;
    pending.delete(chunk);
    hanging.add(chunk);
    chunk.stored = true;
    fail(chunk, error);
  }

  function fail(chunk: OutboxChunk, error: unknown): void {
    failed.add(chunk);
    onUnsaved(chunk);
    if (!failing) onFailure(error);
    failing = true;
  }

  return { touch, save, isHanging: (chunk) => hanging.has(chunk) };
}
