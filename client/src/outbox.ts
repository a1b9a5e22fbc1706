import { createAdoption } from "./adoption.ts";
import { attempt } from "./bounded.ts";
import { createChunkWriter } from "./chunk-writer.ts";
import type { Correction, Framed, ServerClock } from "./clock.ts";
import type { Impression } from "./impression.ts";
import { KEY_PREFIX, type OutboxChunk, type WaitingView } from "./outbox-chunk.ts";
import type { ImpressionStorage, MaybePromise, OwnerLocks } from "./platform.ts";

/**
 * The views that no server has acknowledged, in memory and in the storage.
 *
 * Written in chunks: a write replaces the newest chunk while that is small, or starts another, so that a view is
 * written a bounded number of times however many wait. Views that come while a write is on its way go with the next one.
 * A chunk is removed when its last view is settled; one that is settled in part stays whole in the storage, and a killed
 * app sends those again, which changes nothing on the server.
 */
export interface Outbox {
  /** Oldest first. */
  readonly waiting: readonly WaitingView[];
  add(view: Impression, framed: Framed): void;
  /** These are about to go on the wire, after the next `save`: from now on their times stay as they are. */
  freeze(views: readonly WaitingView[]): void;
  /** Moves provisional times that never were on the wire into corrected time, where that is known. Undone where it cannot be saved. */
  correct(): void;
  /** These go after all others, as long as this run lasts. */
  defer(views: readonly WaitingView[]): void;
  /** Forgets these: acknowledged, refused or dropped. */
  remove(views: ReadonlySet<WaitingView>): void;
  /** Writes all that is not written; ends, or resolves, when it is. Never fails: `onFailure` is told. */
  save(): MaybePromise<void>;
  /** Takes over what dead instances left. */
  adopt(): Promise<void>;
  /**
   * The page ends, or sleeps: all times are final and the names are given up, so that the next page may take over. (A page
   * that holds a Web Lock is also not kept for the back button.)
   */
  suspend(): void;
  /** The page is back after all: it goes on under a new name. What others took over meanwhile is sent twice, harmlessly. */
  resume(): Promise<void>;
  /** Forgets all that this instance has. */
  forget(): void;
  /** Forgets all, in memory now, and in the storage whatever any instance has written for this account. */
  clear(): Promise<void>;
  /** Waits for the writes, and gives up the names that it holds. */
  release(): Promise<void>;
}

/** Twice the default threshold: while the app is online one request empties about one chunk. A view is then written ten times on average where they come one by one. */
const CHUNK_VIEWS_MAX = 20;

export function createOutbox(deps: {
  readonly storage: ImpressionStorage;
  readonly locks: OwnerLocks;
  readonly clock: ServerClock;
  /** What the storage and the locks answer is waited for so long. */
  readonly bound: <Value>(value: MaybePromise<Value>) => MaybePromise<Value>;
  readonly account: string;
  /** A name that no other instance ever had; another one each time. */
  readonly newOwner: () => string;
  readonly onFailure: (error: unknown) => void;
}): Outbox {
  const { clock, newOwner } = deps;
  const writer = createChunkWriter({ ...deps, onUnsaved: uncorrect });
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
  /** How many of them are not done yet. */
  let clearing = 0;

  function begin({ frame, epoch }: Framed): OutboxChunk {
    const key = `${KEY_PREFIX}${owner}/${(nextNumber++).toString(36).padStart(5, "0")}`;
    const chunk = { key, views: [], frame, epoch, frozen: false, stored: false, writing: false };
    chunks.add(chunk);
    return chunk;
  }

  function move(chunk: OutboxChunk, { byMs, frame, epoch }: Correction): void {
    for (const view of chunk.views) view.viewedAtMs += byMs;
    chunk.frame = frame;
    chunk.epoch = epoch;
  }

  /** False where there is nothing to correct, or the stored state is unknown. */
  function correct(chunk: OutboxChunk): boolean {
    const { views, frame, epoch } = chunk;
    if (writer.isHanging(chunk) || views.length === 0) return false;
    const newestMs = Math.max(...views.map(({ viewedAtMs }) => viewedAtMs));
    const correction = clock.correction({ frame, epoch, newestMs });
    if (correction.byMs === 0 && correction.frame === frame) return false;
    move(chunk, correction);
    chunk.uncorrected = { byMs: -correction.byMs, frame, epoch };
    return true;
  }

  /** The storage still has the times from before, and a next run would send those: they stand. */
  function uncorrect(chunk: OutboxChunk): void {
    if (chunk.uncorrected === undefined) return;
    if (chunk.stored) {
      move(chunk, chunk.uncorrected);
      chunk.frozen = true;
    }
    chunk.uncorrected = undefined;
  }

  function freeze(views: readonly WaitingView[]): void {
    const frozen = new Set(views);
    for (const chunk of new Set(views.map((view) => view.chunk))) {
      if (chunk.frozen) continue;
      chunk.frozen = true;
      // Corrected times are final anyhow.
      if (chunk.frame === null) continue;
      const rest = chunk.views.filter((view) => !frozen.has(view));
      if (rest.length > 0) {
        // The others can still be corrected. They are saved elsewhere before they go from here.
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

  /** A run that ended while it parted a chunk left some views twice; of these the ones that may have been sent count. */
  function withoutDuplicates(found: readonly OutboxChunk[]): WaitingView[] {
    const views: WaitingView[] = [];
    const known = new Set<string>();
    for (const chunk of [...found].sort((a, b) => Number(b.frozen) - Number(a.frozen))) {
      const kept = chunk.views.filter(
        ({ postId, viewedAtMs }) => known.size < known.add(`${viewedAtMs} ${postId}`).size,
      );
      if (kept.length < chunk.views.length) touch(chunk);
      chunk.views = kept;
      if (kept.length > 0) chunks.add(chunk);
      views.push(...kept);
    }
    return views;
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
      // Cleared meanwhile: what was read is to be forgotten, too.
      if (clears !== clearsBefore) {
        for (const chunk of found.chunks) {
          chunk.views = [];
          touch(chunk);
        }
        return;
      }
      // Before what this run has seen itself.
      waiting = [...withoutDuplicates(found.chunks).sort((a, b) => a.viewedAtMs - b.viewedAtMs), ...waiting];
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
