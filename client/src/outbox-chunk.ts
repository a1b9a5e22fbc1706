import { type Correction, type Epoch, isOffset } from "./clock.ts";
import { type Impression, viewProblem } from "./impression.ts";

/** Views that are saved together under one key, and go together when the last of them is settled. */
export interface OutboxChunk {
  readonly key: string;
  /** Not settled yet, oldest first. */
  views: WaitingView[];
  /** See clock.ts: null where the times are corrected, otherwise the milliseconds that they have been moved by. */
  frame: number | null;
  /** In which the frame holds; undefined: in an earlier run. */
  epoch?: Epoch | undefined;
  /** Takes no more views, and its times are final: it is on the wire, or may have been in an earlier run. */
  frozen: boolean;
  /** Its times were corrected, which is not saved yet: what undoes it. */
  uncorrected?: Correction | undefined;
  /** The storage has something under its key, or may have. */
  stored: boolean;
  /** Written only when this one is stored, which has taken over some of its views. */
  after?: OutboxChunk;
  /** A write is on its way; the next one waits for it. */
  writing: boolean;
}

/** A view that was not settled yet. It is known by being this very object, never by its place in a list. */
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
/** Version of the format; one that is not ours is left alone. */
const VERSION = 1;

/** As JSON: `v` version, `u` whose views, `f` frame (absent: corrected), `n` 1 (provisional, never sent), `i` the views. */
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
 * A chunk that an earlier run saved: what can be read of it, perhaps nothing, and what is damaged; undefined where it is
 * another account's or another version's. Where it is unknown whether its views were sent, their times are final.
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

/** An impression without the fields that were not given. */
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
