import { createAdoption } from "./adoption.ts";
import { attempt } from "./bounded.ts";
import { createChunkWriter } from "./chunk-writer.ts";
import type { Framed, ServerClock } from "./clock.ts";
import type { Impression } from "./impression.ts";
import {
  correctTimes,
  KEY_PREFIX,
  type OutboxChunk,
  removeDuplicates,
  undoCorrection,
  type WaitingView,
} from "./outbox-chunk.ts";
import type { ImpressionStorage, MaybePromise, OwnerLocks } from "./platform.ts";

/**
 * The views that no server has acknowledged, in memory and in the storage.
 *
 * Views are written in chunks. A write replaces the newest chunk while that is small, or starts another one, so that each
 * view is written a bounded number of times however many wait. Views that arrive during a write go with the next one.
 * A chunk is removed after its last view was acknowledged or dropped. Until then it stays whole in the storage, and a
 * killed app sends its views again, which changes nothing on the server.
 */
export interface Outbox {
  /** Oldest first. */
  readonly waiting: readonly WaitingView[];
  add(view: Impression, framed: Framed): void;
  /** Makes the times of these views final: they are sent after the next `save`. */
  freeze(views: readonly WaitingView[]): void;
  /** Corrects provisional times that were never sent, where the clock's offset is known. A failed save undoes it. */
  correct(): void;
  /** Moves these behind all others, until this run ends. */
  defer(views: readonly WaitingView[]): void;
  /** Removes views that were acknowledged, refused or dropped. */
  remove(views: ReadonlySet<WaitingView>): void;
  /** Writes all unsaved changes. Returns after that, or a promise of it. Never fails: failures go to `onFailure`. */
  save(): MaybePromise<void>;
  /** Takes over the chunks of dead instances. */
  adopt(): Promise<void>;
  /**
   * The page ends or freezes: makes all times final and releases the names, so that the next page may take over. (A browser
   * keeps no page that holds a Web Lock in its back/forward cache.)
   */
  suspend(): void;
  /** The page is back: it continues under a new name. Views that another page took over meanwhile are sent twice, harmlessly. */
  resume(): Promise<void>;
  /** Removes all views of this instance. */
  forget(): void;
  /** Removes all views: those in memory now, and those that any instance stored for this account. */
  clear(): Promise<void>;
  /** Waits for the writes, then releases the names. */
  release(): Promise<void>;
}

/** Twice the default threshold, so that a request of an online app empties about one chunk. A view is written ten times on average where views come one by one. */
const CHUNK_VIEWS_MAX = 20;

export function createOutbox(deps: {
  readonly storage: ImpressionStorage;
  readonly locks: OwnerLocks;
  readonly clock: ServerClock;
  /** Limits how long the outbox waits for the storage and the locks. */
  readonly bound: <Value>(value: MaybePromise<Value>) => MaybePromise<Value>;
  readonly account: string;
  /** A new name that no instance has ever used. */
  readonly newOwner: () => string;
  readonly onFailure: (error: unknown) => void;
}): Outbox {
  const { clock, newOwner } = deps;
  const writer = createChunkWriter({ ...deps, onUnsaved: undoCorrection });
  const adoption = createAdoption(deps);
  const { touch, save } = writer;
  let owner = newOwner();
  let suspended = false;
  let waiting: WaitingView[] = [];
  const chunks = new Set<OutboxChunk>();
  const releases: (() => void)[] = [];
  let newest: OutboxChunk | undefined;
  let nextNumber = 0;
  let clears = 0;
  /** Clears that are still running. */
  let clearing = 0;

  function begin({ frame, epoch }: Framed): OutboxChunk {
    const key = `${KEY_PREFIX}${owner}/${(nextNumber++).toString(36).padStart(5, "0")}`;
    const chunk = { key, views: [], frame, epoch, frozen: false, stored: false, writing: false };
    chunks.add(chunk);
    return chunk;
  }

  /** False where no correction is needed, or the stored state is unknown. */
  function correct(chunk: OutboxChunk): boolean {
    return !writer.isHanging(chunk) && correctTimes(chunk, clock);
  }

  function freeze(views: readonly WaitingView[]): void {
    const frozen = new Set(views);
    for (const chunk of new Set(views.map((view) => view.chunk))) {
      if (chunk.frozen) continue;
      chunk.frozen = true;
      // Corrected times are final already.
      if (chunk.frame === null) continue;
      const rest = chunk.views.filter((view) => !frozen.has(view));
      if (rest.length > 0) {
        // The other views can still be corrected: they move to a chunk of their own, which is saved before this one.
        const other = begin(chunk);
        other.views = rest;
        for (const view of rest) view.chunk = other;
        chunk.views = chunk.views.filter((view) => frozen.has(view));
        chunk.after = other;
        touch(other);
      }
      correct(chunk);
      touch(chunk);
    }
  }

  function forget(): void {
    clears++;
    waiting = [];
    for (const chunk of chunks) {
      chunk.views = [];
      touch(chunk);
    }
    chunks.clear();
  }

  /** Adopts chunks without the views that two of them have. */
  function take(found: readonly OutboxChunk[]): WaitingView[] {
    for (const chunk of removeDuplicates(found)) touch(chunk);
    const kept = found.filter((chunk) => chunk.views.length > 0);
    for (const chunk of kept) chunks.add(chunk);
    return kept.flatMap((chunk) => chunk.views);
  }

  async function acquireOwn(): Promise<void> {
    const own = await adoption.acquire(owner);
    if (own !== null) releases.push(own);
  }

  function releaseNames(): void {
    for (const release of releases.splice(0)) attempt(release);
  }

  return {
    get waiting() {
      return waiting;
    },
    add(view, framed) {
      if (
        newest === undefined ||
        newest.frozen ||
        newest.writing ||
        newest.frame !== framed.frame ||
        newest.epoch !== framed.epoch ||
        newest.views.length >= CHUNK_VIEWS_MAX ||
        !chunks.has(newest)
      )
        newest = begin(framed);
      const added = { ...view, chunk: newest };
      newest.views.push(added);
      waiting.push(added);
      touch(newest);
    },
    freeze,
    correct() {
      if (!clock.isSure()) return;
      for (const chunk of chunks) if (!chunk.frozen && chunk.frame !== null && correct(chunk)) touch(chunk);
    },
    defer(views) {
      waiting = [...waiting.filter((view) => !views.includes(view)), ...views];
    },
    remove(views) {
      waiting = waiting.filter((view) => !views.has(view));
      const touched = new Set<OutboxChunk>();
      for (const { chunk } of views) touched.add(chunk);
      for (const chunk of touched) {
        chunk.views = chunk.views.filter((view) => !views.has(view));
        if (chunk.views.length > 0) continue;
        chunks.delete(chunk);
        touch(chunk);
      }
    },
    save,
    async adopt() {
      await acquireOwn();
      const clearsBefore = clearing > 0 ? -1 : clears;
      const found = await adoption.takeOver(owner);
      releases.push(...found.releases);
      // `clear` ran meanwhile: the adopted views are removed, too.
      if (clears !== clearsBefore) {
        for (const chunk of found.chunks) {
          chunk.views = [];
          touch(chunk);
        }
        return;
      }
      // Adopted views are older than those of this run.
      waiting = [...take(found.chunks).sort((a, b) => a.viewedAtMs - b.viewedAtMs), ...waiting];
    },
    suspend() {
      suspended = true;
      freeze(waiting);
      const saved = save();
      if (saved === undefined) releaseNames();
      else void saved.then(releaseNames);
    },
    async resume() {
      if (!suspended) return;
      suspended = false;
      owner = newOwner();
      await acquireOwn();
    },
    forget,
    async clear() {
      clearing++;
      forget();
      try {
        await save();
        await adoption.removeAll((key) => [...chunks].some((chunk) => chunk.key === key));
      } finally {
        clearing--;
      }
    },
    async release() {
      await save();
      releaseNames();
    },
  };
}
