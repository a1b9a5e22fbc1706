import { fnv1aFmix32 } from "../domain/shard-hash.ts";

/**
 * Time slices: how the viewers of a post are cut into pieces that a database can hold.
 *
 * All views of a post that fall into one stretch of viewedAt make one slice. A cold post is one slice of 30 days; a
 * post that fills its slice goes on in the next finer length for that stretch of time. A view can therefore lie in any
 * of the four slices that cover its instant, and a reader looks into all of them that exist.
 */

/** Lengths in seconds, coarsest first; each is a whole multiple of the next, so that slices nest. */
export const SLICE_LENGTHS_SECONDS = [2_592_000, 86_400, 3_600, 60] as const;

export type SliceSeconds = (typeof SLICE_LENGTHS_SECONDS)[number];

/** There is nothing finer to go to: a slice of this length takes whatever comes, spread over its shards. */
export const FINEST_SLICE_SECONDS: SliceSeconds = 60;

/**
 * Partitions of a finest slice. Coarser ones need no more than one: they end at SLICE_ROWS_MAX. A minute of a viral
 * post does not, and one partition is one replica set's work.
 */
export const FINEST_SLICE_SHARDS = 4;

export interface Slice {
  readonly seconds: SliceSeconds;
  /** Epoch milliseconds, a whole multiple of the length. */
  readonly startMs: number;
}

/** The slice of this length that covers the instant. */
export function sliceAt(viewedAtMs: number, seconds: SliceSeconds): Slice {
  const lengthMs = seconds * 1_000;
  return { seconds, startMs: Math.floor(viewedAtMs / lengthMs) * lengthMs };
}

/** Exclusive. */
export function sliceEndMs({ seconds, startMs }: Slice): number {
  return startMs + seconds * 1_000;
}

/** Every slice that may hold a view of this instant, coarsest first. */
export function slicesCovering(viewedAtMs: number): Slice[] {
  return SLICE_LENGTHS_SECONDS.map((seconds) => sliceAt(viewedAtMs, seconds));
}

/** The length to go on with when a slice of this one is full; null for the finest. */
export function finerThan(seconds: SliceSeconds): SliceSeconds | null {
  return SLICE_LENGTHS_SECONDS[SLICE_LENGTHS_SECONDS.indexOf(seconds) + 1] ?? null;
}

/** How many partitions a slice of this length has, numbered from 0. */
export function shardsIn(seconds: SliceSeconds): number {
  return seconds === FINEST_SLICE_SECONDS ? FINEST_SLICE_SHARDS : 1;
}

/** A text key for maps. */
export function sliceKey({ seconds, startMs }: Slice): string {
  return `${seconds}:${startMs}`;
}

/** The partition of a slice in which a user's views stand: 0 in all but the finest slices. */
export function shardOf(seconds: SliceSeconds, userId: string): number {
  return shardsIn(seconds) === 1 ? 0 : fnv1aFmix32(userId) % FINEST_SLICE_SHARDS;
}
