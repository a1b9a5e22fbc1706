import { StoreRefusedError } from "../ports/errors.ts";
import type { SharedLock } from "./shared-lock.ts";

/** Thrown by a write that, once it had its slot, was not begun: it says nothing about the store. */
export class NotBegunError extends Error {
  override readonly name = "NotBegunError";
}

/** Writes slower than this mean that the store is falling behind. */
const SLOW_WRITE_MS = 250;
const CONCURRENCY_START = 32;
/** The limit is cut at most once in this time: one slow moment is one signal, however many writes it slows. */
const CUT_INTERVAL_MS = 500;
const CUT_FACTOR = 0.7;

/**
 * Bounds how many store writes run at once and finds the bound by itself: one more after each round of writes that
 * were fast while every slot was in use, a cut by 30 % when a write is slow or fails (additive increase,
 * multiplicative decrease). Shared by the worker loops of a process.
 *
 *   limit + 1 <---- as many fast writes as the limit, while all slots were in use
 *   limit * 0.7 <-- a slow or failed write, at most once in CUT_INTERVAL_MS
 *
 * A probe of an unhealthy partition moves it neither way.
 */
export interface AdaptiveLimit {
  /**
   * Runs the write when a slot is free.
   *
   * @param rank slots go to the lowest one that waits, 0 unless given; among equals in the order of asking.
   */
  run<T>(write: () => Promise<T>, rank?: number): Promise<T>;
  /** The same for a write to an unhealthy partition: it says nothing about the rest of the store. */
  runProbe<T>(write: () => Promise<T>, rank?: number): Promise<T>;
  /** Writes that may run at once now. */
  current(): number;
  /** Whether writes wait for a slot: the store has as much to do as it may have. */
  isBusy(): boolean;
}

export function createAdaptiveLimit(options: {
  readonly min: number;
  readonly max: number;
  /** Monotonic milliseconds. */
  readonly monotonicMs: () => number;
  /** A write that has its slot waits here while an isolated attempt runs; that time is not the store's. */
  readonly lock: Pick<SharedLock, "shared">;
}): AdaptiveLimit {
  let limit = Math.max(options.min, Math.min(CONCURRENCY_START, options.max));
  let running = 0;
  let fastWrites = 0;
  let lastCutMs = Number.NEGATIVE_INFINITY;
  const waiting = createRankedQueue<() => void>();

  function learn(fast: boolean, wasFull: boolean): void {
    if (!fast) {
      const nowMs = options.monotonicMs();
      if (nowMs - lastCutMs < CUT_INTERVAL_MS) return;
      lastCutMs = nowMs;
      fastWrites = 0;
      limit = Math.max(options.min, Math.floor(limit * CUT_FACTOR));
    } else if (wasFull && ++fastWrites >= limit) {
      fastWrites = 0;
      limit = Math.min(options.max, limit + 1);
    }
  }

  async function inSlot<T>(write: () => Promise<T>, rank = 0): Promise<T> {
    if (running < limit) running++;
    else await new Promise<void>((resolve) => waiting.push(resolve, rank));
    try {
      return await options.lock.shared(write);
    } finally {
      running--;
      while (running < limit && waiting.size() > 0) {
        running++;
        waiting.take()?.();
      }
    }
  }

  return {
    run: (write, rank) =>
      inSlot(async () => {
        const wasFull = running >= limit;
        const startedMs = options.monotonicMs();
        const isFast = () => options.monotonicMs() - startedMs <= SLOW_WRITE_MS;
        try {
          const result = await write();
          learn(isFast(), wasFull);
          return result;
        } catch (error) {
          // A refused row says no more than that the store answers.
          if (!(error instanceof NotBegunError))
            learn(error instanceof StoreRefusedError && isFast(), wasFull);
          throw error;
        }
      }, rank),
    runProbe: inSlot,
    current: () => limit,
    isBusy: () => waiting.size() > 0,
  };
}

/** What waits, the lowest rank first, and of one rank first in, first out. */
export interface RankedQueue<Item> {
  push(item: Item, rank: number): void;
  /** Takes the first; undefined where nothing waits. */
  take(): Item | undefined;
  size(): number;
}

/** For few ranks that mostly come in rising order, with many items each. */
export function createRankedQueue<Item>(): RankedQueue<Item> {
  const ranks: number[] = [];
  const items = new Map<number, Fifo<Item>>();
  let size = 0;

  function insert(rank: number): void {
    const before = ranks.findLastIndex((other) => other < rank);
    ranks.splice(before + 1, 0, rank);
  }

  return {
    push(item, rank) {
      let same = items.get(rank);
      if (same === undefined) {
        same = createFifo();
        items.set(rank, same);
        insert(rank);
      }
      same.push(item);
      size++;
    },
    take() {
      const [rank] = ranks;
      if (rank === undefined) return undefined;
      const same = items.get(rank);
      const item = same?.take();
      size--;
      if (same?.size() === 0) {
        items.delete(rank);
        ranks.shift();
      }
      return item;
    },
    size: () => size,
  };
}

/**
 * What waits, first in, first out. An array's `shift` moves everything behind it: with the 40,000 writes of full pulls
 * that was a third of a worker's time.
 */
export interface Fifo<Item> {
  push(item: Item): void;
  /** Takes the oldest; undefined where nothing waits. */
  take(): Item | undefined;
  size(): number;
}

/** So many taken places are freed together. */
const TAKEN_MAX = 1_024;

export function createFifo<Item>(): Fifo<Item> {
  let items: (Item | undefined)[] = [];
  let taken = 0;
  return {
    push(item) {
      items.push(item);
    },
    take() {
      if (taken === items.length) return undefined;
      const item = items[taken];
      // What was taken must not be kept alive from here.
      items[taken++] = undefined;
      if (taken === items.length || (taken >= TAKEN_MAX && 2 * taken >= items.length)) {
        items = items.slice(taken);
        taken = 0;
      }
      return item;
    },
    size: () => items.length - taken,
  };
}
