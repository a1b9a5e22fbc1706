import { attempt, isPromise, Unanswered } from "./bounded.ts";
import type { Impression } from "./impression.ts";
import type { ImpressionStorage, MaybePromise, OwnerLocks } from "./platform.ts";
import { decodeSegment, encodeSegment, type Segment, type WaitingView } from "./segment.ts";

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
  add(view: Impression, frame: number | null): void;
  /** These are about to go on the wire: from now on their times and their segments stay as they are. */
  seal(views: Iterable<WaitingView>): void;
  /** Moves all provisional views that never were on the wire into corrected time. Undone where it cannot be saved. */
  correct(offsetMs: number): void;
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
  /** Waits for the writes, and gives up the names that it holds. */
  release(): Promise<void>;
}

/** First part of every key. */
export const KEY_PREFIX = "impressions/";
/** Twice the default threshold: while the app is online one request empties about one segment. A view is then written ten times on average where they come one by one. */
const SEGMENT_VIEWS_MAX = 20;

export function createJournal(deps: {
  readonly storage: ImpressionStorage;
  readonly locks: OwnerLocks;
  /** What the storage and the locks answer is waited for so long. */
  readonly bound: <Value>(value: MaybePromise<Value>) => MaybePromise<Value>;
  readonly account: string;
  /** A name that no other instance ever had; another one each time. */
  readonly newOwner: () => string;
  readonly onFailure: (error: unknown) => void;
}): Journal {
  const { storage, locks, bound, account, newOwner, onFailure } = deps;
  let owner = newOwner();
  let parked = false;
  let waiting: WaitingView[] = [];
  const segments = new Set<Segment>();
  /** What the storage has of these is not what it should have. */
  const dirty = new Set<Segment>();
  /** Their write failed: tried again with the next save, whatever that is for. */
  const failed = new Set<Segment>();
  /** Their write has not ended in time: not waited for, and no other one is begun beside it. */
  const hanging = new Set<Segment>();
  const releases: (() => void)[] = [];
  let newest: Segment | undefined;
  let nextNumber = 0;
  let saveSoon = false;
  let saving: Promise<void> | undefined;
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

  /** Writes until there is nothing that may be written now; goes on by itself after each write that takes its time. */
  function drain(): MaybePromise<void> {
    const slow: Promise<void>[] = [];
    for (const segment of dirty) {
      if (segment.writing) continue;
      dirty.delete(segment);
      const written = write(segment);
      if (written !== undefined) slow.push(written);
    }
    if (slow.length > 0) return Promise.all(slow).then(() => drain());
  }

  function move(segment: Segment, byMs: number, frame: number | null): void {
    for (const view of segment.views) view.viewedAtMs += byMs;
    segment.correction = frame === null && segment.frame !== null ? { from: segment.frame, byMs } : undefined;
    segment.frame = frame;
    segment.sealed = true;
  }

  function write(segment: Segment): Promise<void> | undefined {
    const empty = segment.views.length === 0;
    if (empty) segments.delete(segment);
    if (empty && !segment.stored) return;
    segment.stored = true;
    try {
      const done = empty
        ? storage.remove(segment.key)
        : storage.set(segment.key, encodeSegment(segment, account));
      if (!isPromise(done)) {
        failing = false;
        segment.correction = undefined;
        return;
      }
      segment.writing = true;
      done.then(
        () => ended(segment),
        () => ended(segment),
      );
      return Promise.resolve(bound(done)).then(
        () => {
          failing = false;
          segment.correction = undefined;
        },
        (error: unknown) => {
          if (error instanceof Unanswered) hanging.add(segment);
          fail(segment, error);
        },
      );
    } catch (error) {
      fail(segment, error);
    }
  }

  /** What it wrote may be older than what is known now, where it took too long. */
  function ended(segment: Segment): void {
    segment.writing = false;
    if (hanging.delete(segment)) touch(segment);
  }

  /** Told once for each time that the storage begins to fail: a full one fails at every view. */
  function fail(segment: Segment, error: unknown): void {
    failed.add(segment);
    // The storage still has the provisional times, and a next run would send those: they stand.
    if (segment.correction !== undefined) move(segment, -segment.correction.byMs, segment.correction.from);
    if (!failing) onFailure(error);
    failing = true;
  }

  function save(): MaybePromise<void> {
    for (const segment of failed) dirty.add(segment);
    failed.clear();
    const done = drain();
    if (done !== undefined) {
      const all = Promise.all([saving, done]).then(() => {
        if (saving === all) saving = undefined;
      });
      saving = all;
    }
    return hanging.size > 0 ? undefined : saving;
  }

  /** Null where another one has it, and where nobody says so in time. */
  async function acquire(name: string): Promise<(() => void) | null> {
    let acquiring: MaybePromise<(() => void) | null> = null;
    try {
      acquiring = locks.acquire(name);
      return await bound(acquiring);
    } catch (error) {
      onFailure(error);
      if (error instanceof Unanswered) attempt(async () => (await acquiring)?.());
      return null;
    }
  }

  async function acquireOwn(): Promise<void> {
    const own = await acquire(owner);
    if (own !== null) releases.push(own);
  }

  function giveBack(): void {
    for (const release of releases.splice(0)) attempt(release);
  }

  /** The segments of an owner, if it is dead. */
  async function adoptFrom(dead: string, keys: readonly string[]): Promise<Segment[]> {
    const release = await acquire(dead);
    if (release === null) return [];
    const adopted: Segment[] = [];
    /** Another account's, or not readable now: another instance has to be able to take it over. */
    let left = false;
    for (const key of keys) {
      const text = await read(key);
      if (text === undefined) left = true;
      if (typeof text !== "string") continue;
      const found = decode(key, text);
      if (found === undefined) await forget(key);
      else if (found === null) left = true;
      else adopted.push(found);
    }
    if (left) attempt(release);
    else releases.push(release);
    return adopted;
  }

  /** Undefined where the storage does not tell. */
  async function read(key: string): Promise<string | null | undefined> {
    try {
      return (await bound(storage.get(key))) ?? null;
    } catch (error) {
      onFailure(error);
    }
  }

  /** Null: not ours. Undefined: nothing can be read of it. */
  function decode(key: string, text: string): Segment | null | undefined {
    try {
      const found = decodeSegment(key, text, account);
      if (found === null) return null;
      if (found.damaged > 0)
        onFailure(new Error(`${found.damaged} views of ${key} are damaged and were left out`));
      return found.segment.views.length > 0 ? found.segment : undefined;
    } catch (error) {
      onFailure(new Error(`what was saved as ${key} is damaged and was removed: ${error}`));
    }
  }

  async function forget(key: string): Promise<void> {
    try {
      await bound(storage.remove(key));
    } catch (error) {
      onFailure(error);
    }
  }

  return {
    get waiting() {
      return waiting;
    },
    add(view, frame) {
      if (
        newest === undefined ||
        newest.sealed ||
        newest.writing ||
        newest.frame !== frame ||
        newest.views.length >= SEGMENT_VIEWS_MAX
      ) {
        const key = `${KEY_PREFIX}${owner}/${(nextNumber++).toString(36).padStart(5, "0")}`;
        newest = { key, views: [], frame, sealed: false, stored: false, writing: false };
        segments.add(newest);
      }
      const added = { ...view, segment: newest };
      newest.views.push(added);
      waiting.push(added);
      touch(newest);
    },
    seal(views) {
      for (const { segment } of views) segment.sealed = true;
    },
    correct(offsetMs) {
      for (const segment of segments) {
        if (segment.frame === null || segment.sealed) continue;
        move(segment, offsetMs - segment.frame, null);
        touch(segment);
      }
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
        if (segment.views.length === 0) touch(segment);
      }
    },
    save,
    async adopt() {
      await acquireOwn();
      const keysOf = new Map<string, string[]>();
      for (const key of [...((await bound(storage.keys())) ?? [])].map(String).sort()) {
        const [prefix, name] = key.split("/");
        if (prefix !== KEY_PREFIX.slice(0, -1) || name === undefined || name === owner) continue;
        keysOf.set(name, [...(keysOf.get(name) ?? []), key]);
      }
      const adopted: WaitingView[] = [];
      for (const [dead, keys] of keysOf) {
        for (const segment of await adoptFrom(dead, keys)) {
          segments.add(segment);
          adopted.push(...segment.views);
        }
      }
      // Before what this run has seen itself.
      waiting = [...adopted.sort((a, b) => a.viewedAtMs - b.viewedAtMs), ...waiting];
    },
    park() {
      parked = true;
      for (const { segment } of waiting) segment.sealed = true;
      giveBack();
    },
    async unpark() {
      if (!parked) return;
      parked = false;
      owner = newOwner();
      await acquireOwn();
    },
    async release() {
      await save();
      giveBack();
    },
  };
}
