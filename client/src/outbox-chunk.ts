import { type Correction, isOffset, type ServerClock } from "./clock.ts";
import type { Epoch } from "./epochs.ts";
import { type Impression, viewProblem } from "./impression.ts";

/** Views that are stored together under one key, and removed together when none of them waits any more. */
export interface OutboxChunk {
  readonly key: string;
  /** Those that still wait, oldest first. */
  views: WaitingView[];
  /** See clock.ts: null for corrected times, otherwise the milliseconds that were added to them. */
  frame: number | null;
  /** The epoch of the frame; undefined: of an earlier run. */
  epoch?: Epoch | undefined;
  /** Takes no more views, and its times are final: it was sent, or may have been sent by an earlier run. */
  frozen: boolean;
  /** Undoes the correction of its times that is not saved yet. */
  uncorrected?: Correction | undefined;
  /** The storage has, or may have, a value under its key. */
  stored: boolean;
  /** The chunk that took over some of its views, and is stored before this one. */
  after?: OutboxChunk;
  /** A write of it is running; the next one waits for that. */
  writing: boolean;
}

/** A view that still waits. Its identity is this object, never its place in a list. */
export interface WaitingView extends Impression {
  viewedAtMs: number;
  chunk: OutboxChunk;
}

type Row = readonly [
  postId: string,
  viewedAtMs: number,
  surface?: string | null,
  position?: number | null,
  dwellMs?: number | null,
];

/** First part of every key. */
export const KEY_PREFIX = "impressions/";
/** Version of the format; chunks of another version are left untouched. */
const VERSION = 1;

/** As JSON: `v` version, `u` account, `f` frame (absent: corrected), `n` 1 (provisional, never sent), `i` the views. */
export function encodeChunk({ views, frame, frozen }: OutboxChunk, account: string): string {
  const rows = views.map(({ postId, viewedAtMs, surface = null, position = null, dwellMs = null }): Row => {
    if (dwellMs !== null) return [postId, viewedAtMs, surface, position, dwellMs];
    if (position !== null) return [postId, viewedAtMs, surface, position];
    return surface === null ? [postId, viewedAtMs] : [postId, viewedAtMs, surface];
  });
  return JSON.stringify({
    v: VERSION,
    u: account,
    ...(frame === null ? {} : { f: frame, ...(frozen ? {} : { n: 1 }) }),
    i: rows,
  });
}

/**
 * Decodes a chunk of an earlier run: its readable views, perhaps none, and a description of the damage. No chunk where it
 * belongs to another account or another version. Unless the chunk says that it was never sent, its times are final.
 */
export function decodeChunk(
  key: string,
  text: string,
  account: string,
): { readonly chunk?: OutboxChunk; readonly damage: string | null } {
  const chunk: OutboxChunk = { key, views: [], frame: null, frozen: true, stored: true, writing: false };
  try {
    const { v, u, f = null, n, i } = JSON.parse(text) as Record<string, unknown>;
    if ((v !== undefined && v !== VERSION) || (u !== undefined && u !== account)) return { damage: null };
    if (!Array.isArray(i) || !(f === null || isOffset(f))) throw new SyntaxError("not an outbox chunk");
    chunk.frame = f;
    chunk.frozen = n !== 1;
    for (const row of i as unknown[]) {
      if (!Array.isArray(row)) continue;
      const [postId, viewedAtMs, surface, position, dwellMs] = row as unknown as Row;
      const view = withoutEmpty({ postId, viewedAtMs, surface, position, dwellMs });
      if (viewProblem(postId, view, viewedAtMs) === null) chunk.views.push({ ...view, chunk });
    }
    const damaged = i.length - chunk.views.length;
    return { chunk, damage: damaged > 0 ? `${damaged} damaged views are left out` : null };
  } catch (error) {
    return { chunk, damage: `damaged, and removed: ${error}` };
  }
}

/** Corrects times that were never sent; false where no correction is needed. `undoCorrection` undoes it until it is saved. */
export function correctTimes(chunk: OutboxChunk, clock: ServerClock): boolean {
  const { views, frame, epoch } = chunk;
  if (views.length === 0) return false;
  const newestMs = Math.max(...views.map(({ viewedAtMs }) => viewedAtMs));
  const correction = clock.correction({ frame, epoch, newestMs });
  if (correction.byMs === 0 && correction.frame === frame) return false;
  move(chunk, correction);
  chunk.uncorrected = { byMs: -correction.byMs, frame, epoch };
  return true;
}

/** Undoes an unsaved correction: the storage still has the old times, and the next run would send those. */
export function undoCorrection(chunk: OutboxChunk): void {
  if (chunk.uncorrected === undefined) return;
  if (chunk.stored) {
    move(chunk, chunk.uncorrected);
    chunk.frozen = true;
  }
  chunk.uncorrected = undefined;
}

function move(chunk: OutboxChunk, { byMs, frame, epoch }: Correction): void {
  for (const view of chunk.views) view.viewedAtMs += byMs;
  chunk.frame = frame;
  chunk.epoch = epoch;
}

/**
 * Keeps one copy of each view that two chunks have, after a run ended while it split a chunk: the copy that may have been sent.
 * Returns the changed chunks.
 */
export function removeDuplicates(chunks: readonly OutboxChunk[]): OutboxChunk[] {
  const known = new Set<string>();
  return [...chunks]
    .sort((a, b) => Number(b.frozen) - Number(a.frozen))
    .filter((chunk) => {
      const before = chunk.views.length;
      chunk.views = chunk.views.filter(
        ({ postId, viewedAtMs }) => known.size < known.add(`${viewedAtMs} ${postId}`).size,
      );
      return chunk.views.length < before;
    });
}

/** An impression without its absent fields. */
export function withoutEmpty(given: {
  readonly postId: string;
  readonly viewedAtMs: number;
  readonly surface?: string | null | undefined;
  readonly position?: number | null | undefined;
  readonly dwellMs?: number | null | undefined;
}): Impression {
  const { postId, viewedAtMs, surface, position, dwellMs } = given;
  return {
    postId,
    viewedAtMs,
    ...(surface == null ? {} : { surface }),
    ...(position == null ? {} : { position }),
    ...(dwellMs == null ? {} : { dwellMs }),
  };
}
