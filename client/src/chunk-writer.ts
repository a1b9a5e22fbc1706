import { isPromise, Unanswered } from "./bounded.ts";
import { encodeChunk, type OutboxChunk } from "./outbox-chunk.ts";
import type { ImpressionStorage, MaybePromise } from "./platform.ts";

/** Brings what chunks are now into the storage, one write of a chunk at a time. */
export interface ChunkWriter {
  /** The storage is to have this one as it is now, or nothing where it is empty. Written with what else changes now. */
  touch(chunk: OutboxChunk): void;
  /** Writes all that is touched; ends, or resolves, when it is. Never fails: `onUnsaved` is told. */
  save(): MaybePromise<void>;
  /** A write of the chunk has not ended in time, so its stored state is unknown. */
  isHanging(chunk: OutboxChunk): boolean;
}

export function createChunkWriter(deps: {
  readonly storage: ImpressionStorage;
  /** What the storage answers is waited for so long. */
  readonly bound: <Value>(value: MaybePromise<Value>) => MaybePromise<Value>;
  readonly account: string;
  /** This one is not saved as it is. It is tried again with the next save, whatever that is for. */
  readonly onUnsaved: (chunk: OutboxChunk) => void;
  /** Told once for each time that the storage begins to fail: a full one fails at every view. */
  readonly onFailure: (error: unknown) => void;
}): ChunkWriter {
  const { storage, bound, account, onUnsaved, onFailure } = deps;
  /** What the storage has of these is not what it should have. */
  const dirty = new Set<OutboxChunk>();
  const failed = new Set<OutboxChunk>();
  /** Their write is on its way. */
  const pending = new Map<OutboxChunk, Promise<void>>();
  /** Not waited for any more; no other write of these is begun before that one has ended. */
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

  /** Each write that ends begins those that waited for it, before this looks again. */
  async function untilWritten(wanted: readonly OutboxChunk[]): Promise<void> {
    for (;;) {
      const writes = wanted.flatMap((chunk) => pending.get(chunk) ?? []);
      if (writes.length === 0) return;
      await Promise.all(writes);
    }
  }

  /** Begins all writes that may begin. */
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
    // What it wrote may be older than what is known now.
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
