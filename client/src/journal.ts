import { createAdoption } from "./adoption.ts";
import { attempt } from "./bounded.ts";
import type { Correction, Framed, ServerClock } from "./clock.ts";
import type { Impression } from "./impression.ts";
import type { ImpressionStorage, MaybePromise, OwnerLocks } from "./platform.ts";
import { KEY_PREFIX, type Segment, type WaitingView } from "./segment.ts";
import { createSegmentWriter } from "./segment-writer.ts";

/**
 * The views that no server has acknowledged, in memory and in the storage.
 *
 * Written in segments: a write replaces the newest segment while that is small, or starts another, so that a view is
 * written a bounded number of times however many wait. Views that come while a write is on its way go with the next one.
 * A segment is removed when its last view is settled; one that is settled in part stays whole in the storage, and a killed
 * app sends those again, which changes nothing on the server.
 */
export interface Journal {
  /** Oldest first. */
  readonly waiting: readonly WaitingView[];
  add(view: Impression, framed: Framed): void;
  /** These are about to go on the wire, after the next `save`: from now on their times stay as they are. */
  seal(views: readonly WaitingView[]): void;
  /** Moves provisional times that never were on the wire into corrected time, where that is known. Undone where it cannot be saved. */
  correct(): void;
  /** These go after all others, as long as this run lasts. */
  defer(views: readonly WaitingView[]): void;
  /** Forgets these: acknowledged, refused or dropped. */
  settle(views: ReadonlySet<WaitingView>): void;
  /** Writes all that is not written; ends, or resolves, when it is. Never fails: `onFailure` is told. */
  save(): MaybePromise<void>;
  /** Takes over what dead instances left. */
  adopt(): Promise<void>;
  /**
   * The page ends, or sleeps: all times are final and the names are given up, so that the next page may take over. (A page
   * that holds a Web Lock is also not kept for the back button.)
   */
  park(): void;
  /** The page is back after all: it goes on under a new name. What others took over meanwhile is sent twice, harmlessly. */
  unpark(): Promise<void>;
  /** Forgets all that this instance has. */
  forget(): void;
  /** Forgets all, in memory now, and in the storage whatever any instance has written for this account. */
  clear(): Promise<void>;
  /** Waits for the writes, and gives up the names that it holds. */
  release(): Promise<void>;
}

/** Twice the default threshold: while the app is online one request empties about one segment. A view is then written ten times on average where they come one by one. */
const SEGMENT_VIEWS_MAX = 20;

export function createJournal(deps: {
  readonly storage: ImpressionStorage;
  readonly locks: OwnerLocks;
  readonly clock: ServerClock;
  /** What the storage and the locks answer is waited for so long. */
  readonly bound: <Value>(value: MaybePromise<Value>) => MaybePromise<Value>;
  readonly account: string;
  /** A name that no other instance ever had; another one each time. */
  readonly newOwner: () => string;
  readonly onFailure: (error: unknown) => void;
}): Journal {
  const { clock, newOwner } = deps;
  const writer = createSegmentWriter({ ...deps, onUnsaved: uncorrect });
  const adoption = createAdoption(deps);
  const { touch, save } = writer;
  let owner = newOwner();
  let parked = false;
  let waiting: WaitingView[] = [];
  const segments = new Set<Segment>();
  const releases: (() => void)[] = [];
  let newest: Segment | undefined;
  let nextNumber = 0;
  let clears = 0;
  /** How many of them are not done yet. */
  let clearing = 0;

  function begin({ frame, epoch }: Framed): Segment {
    const key = `${KEY_PREFIX}${owner}/${(nextNumber++).toString(36).padStart(5, "0")}`;
    const segment = { key, views: [], frame, epoch, sealed: false, stored: false, writing: false };
    segments.add(segment);
    return segment;
  }

  function move(segment: Segment, { byMs, frame, epoch }: Correction): void {
    for (const view of segment.views) view.viewedAtMs += byMs;
    segment.frame = frame;
    segment.epoch = epoch;
  }

  /** False where there is nothing to correct, or nobody knows what the storage has. */
  function correct(segment: Segment): boolean {
    const { views, frame, epoch } = segment;
    if (writer.isHanging(segment) || views.length === 0) return false;
    const newestMs = Math.max(...views.map(({ viewedAtMs }) => viewedAtMs));
    const correction = clock.correction({ frame, epoch, newestMs });
    if (correction.byMs === 0 && correction.frame === frame) return false;
    move(segment, correction);
    segment.uncorrected = { byMs: -correction.byMs, frame, epoch };
    return true;
  }

  /** The storage still has the times from before, and a next run would send those: they stand. */
  function uncorrect(segment: Segment): void {
    if (segment.uncorrected === undefined) return;
    if (segment.stored) {
      move(segment, segment.uncorrected);
      segment.sealed = true;
    }
    segment.uncorrected = undefined;
  }

  function seal(views: readonly WaitingView[]): void {
    const sealed = new Set(views);
    for (const segment of new Set(views.map((view) => view.segment))) {
      if (segment.sealed) continue;
      segment.sealed = true;
      // Corrected times are final anyhow.
      if (segment.frame === null) continue;
      const rest = segment.views.filter((view) => !sealed.has(view));
      if (rest.length > 0) {
        // The others can still be corrected. They are saved elsewhere before they go from here.
        const other = begin(segment);
        other.views = rest;
        for (const view of rest) view.segment = other;
        segment.views = segment.views.filter((view) => sealed.has(view));
        segment.after = other;
        touch(other);
      }
      correct(segment);
      touch(segment);
    }
  }

  function forget(): void {
    clears++;
    waiting = [];
    for (const segment of segments) {
      segment.views = [];
      touch(segment);
    }
    segments.clear();
  }

  /** A run that ended while it parted a segment left some views twice; of these the ones that may have been sent count. */
  function withoutTwins(found: readonly Segment[]): WaitingView[] {
    const views: WaitingView[] = [];
    const known = new Set<string>();
    for (const segment of [...found].sort((a, b) => Number(b.sealed) - Number(a.sealed))) {
      const kept = segment.views.filter(
        ({ postId, viewedAtMs }) => known.size < known.add(`${viewedAtMs} ${postId}`).size,
      );
      if (kept.length < segment.views.length) touch(segment);
      segment.views = kept;
      if (kept.length > 0) segments.add(segment);
      views.push(...kept);
    }
    return views;
  }

  async function acquireOwn(): Promise<void> {
    const own = await adoption.acquire(owner);
    if (own !== null) releases.push(own);
  }

  function giveBack(): void {
    for (const release of releases.splice(0)) attempt(release);
  }

  return {
    get waiting() {
      return waiting;
    },
    add(view, framed) {
      if (
        newest === undefined ||
        newest.sealed ||
        newest.writing ||
        newest.frame !== framed.frame ||
        newest.epoch !== framed.epoch ||
        newest.views.length >= SEGMENT_VIEWS_MAX ||
        !segments.has(newest)
      )
        newest = begin(framed);
      const added = { ...view, segment: newest };
      newest.views.push(added);
      waiting.push(added);
      touch(newest);
    },
    seal,
    correct() {
      if (!clock.isSure()) return;
      for (const segment of segments)
        if (!segment.sealed && segment.frame !== null && correct(segment)) touch(segment);
    },
    defer(views) {
      waiting = [...waiting.filter((view) => !views.includes(view)), ...views];
    },
    settle(views) {
      waiting = waiting.filter((view) => !views.has(view));
      const touched = new Set<Segment>();
      for (const { segment } of views) touched.add(segment);
      for (const segment of touched) {
        segment.views = segment.views.filter((view) => !views.has(view));
        if (segment.views.length > 0) continue;
        segments.delete(segment);
        touch(segment);
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
        for (const segment of found.segments) {
          segment.views = [];
          touch(segment);
        }
        return;
      }
      // Before what this run has seen itself.
      waiting = [...withoutTwins(found.segments).sort((a, b) => a.viewedAtMs - b.viewedAtMs), ...waiting];
    },
    park() {
      parked = true;
      seal(waiting);
      const saved = save();
      if (saved === undefined) giveBack();
      else void saved.then(giveBack);
    },
    async unpark() {
      if (!parked) return;
      parked = false;
      owner = newOwner();
      await acquireOwn();
    },
    forget,
    async clear() {
      clearing++;
      forget();
      try {
        await save();
        await adoption.removeAll((key) => [...segments].some((segment) => segment.key === key));
      } finally {
        clearing--;
      }
    },
    async release() {
      await save();
      giveBack();
    },
  };
}
