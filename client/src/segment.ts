import { type Impression, viewProblem } from "./impression.ts";

/** Views that are saved together under one key, and go together when the last of them is settled. */
export interface Segment {
  readonly key: string;
  /** Not settled yet, oldest first. */
  views: WaitingView[];
  /** See clock.ts: null where the times are corrected, otherwise the milliseconds that they have been moved by. */
  frame: number | null;
  /** Takes no more views, and its times are final: it was on the wire, or may have been in an earlier run. */
  sealed: boolean;
  /** Its times were corrected, which is not saved yet. */
  correction?: { readonly from: number; readonly byMs: number } | undefined;
  /** The storage has something under its key. */
  stored: boolean;
  /** A write is on its way; the next one waits for it. */
  writing: boolean;
}

/** A view that was not settled yet. It is known by being this very object, never by its place in a list. */
export interface WaitingView extends Impression {
  viewedAtMs: number;
  readonly segment: Segment;
}

type Row = readonly [
  postId: string,
  viewedAtMs: number,
  surface?: string | null,
  position?: number | null,
  dwellMs?: number | null,
];

/** A clock that is further off is a damaged number: a device that thinks it is 1970 is off by less. */
export const OFFSET_MS_MAX = 3.2e12;
/** Version of the format; one that is not ours is left alone. */
const VERSION = 1;

/** As JSON: `v` version, `u` whose views, `f` frame (absent: corrected), `i` the views. */
export function encodeSegment({ views, frame }: Segment, account: string): string {
  const rows = views.map(({ postId, viewedAtMs, surface = null, position = null, dwellMs = null }): Row => {
    if (dwellMs !== null) return [postId, viewedAtMs, surface, position, dwellMs];
    if (position !== null) return [postId, viewedAtMs, surface, position];
    return surface === null ? [postId, viewedAtMs] : [postId, viewedAtMs, surface];
  });
  return JSON.stringify({ v: VERSION, u: account, ...(frame === null ? {} : { f: frame }), i: rows });
}

/**
 * A segment that an earlier run saved, with how many of its views are damaged and left out; or null where it is another
 * account's or another version's. Whether its views were sent nobody knows, so their times are final.
 *
 * @throws Error the text is no segment.
 */
export function decodeSegment(
  key: string,
  text: string,
  account: string,
): { readonly segment: Segment; readonly damaged: number } | null {
  const {
    v,
    u,
    f = null,
    i,
  } = JSON.parse(text) as { v: unknown; u: unknown; f?: number | null; i: readonly Row[] };
  if (v !== undefined && v !== VERSION) return null;
  if (u !== undefined && u !== account) return null;
  if (!Array.isArray(i) || !(f === null || isOffset(f))) throw new SyntaxError("not a segment");
  const segment: Segment = { key, views: [], frame: f, sealed: true, stored: true, writing: false };
  for (const row of i as unknown[]) {
    if (!Array.isArray(row)) continue;
    const [postId, viewedAtMs, surface, position, dwellMs] = row as unknown as Row;
    const view = withoutEmpty({ postId, viewedAtMs, surface, position, dwellMs });
    // The frame is added again for `sentAt`; the time itself must be one that the server reads.
    if (viewProblem(postId, view, viewedAtMs) === null) segment.views.push({ ...view, segment });
  }
  return { segment, damaged: i.length - segment.views.length };
}

/** Whether this can be what a device's clock is off by, in milliseconds. */
export function isOffset(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= OFFSET_MS_MAX;
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
