import type { types } from "cassandra-driver";
import type { Impression } from "../../domain/impression.ts";
import type { Window } from "../../domain/time.ts";
import { compareUtf8 } from "../../domain/utf8-order.ts";
import { compareDetails } from "../../domain/versions.ts";
import { HistoryTooLongError } from "../../ports/errors.ts";
import type { Reads } from "../database.ts";
import { bytesOf, instantMsOf, integerOf, timestampOf } from "../rows.ts";
import { forEachView, PACK_SPAN_MS_MAX } from "./pack-codec.ts";

/** Packs of one page of a history: about 150 KB, where ten views were submitted at a time. */
export const PACKS_PER_PAGE = 1_000;
/** Packs that one question reads of a history. Ten years of a person's own views are far fewer; a script's may be more. */
export const PACKS_READ_MAX = 100_000;

/** All time. */
const EVERYTHING: Window = { sinceMs: Number.NEGATIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY };

/** A row of user_packs, as it is stored. */
export interface PackRow {
  readonly newestAtMs: number;
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
  readonly receivedAtUs: number;
}

/** A view out of a pack; whose it is was asked. */
export interface StoredView extends Impression {
  readonly receivedAtUs: number;
}

export function packRowOf(row: types.Row): PackRow {
  return {
    newestAtMs: instantMsOf(row, "newest_at"),
    id: bytesOf(row, "pack_id"),
    bytes: bytesOf(row, "pack"),
    receivedAtUs: integerOf(row, "received_at_us"),
  };
}

/** The views of a pack inside the window, newest first. */
export function viewsOf(
  { bytes, newestAtMs, id, receivedAtUs }: PackRow,
  { sinceMs, untilMs }: Window = EVERYTHING,
): StoredView[] {
  const views: StoredView[] = [];
  forEachView(bytes, newestAtMs, id, (view) => {
    const { viewedAtMs, surface, position, dwellMs } = view;
    if (viewedAtMs < sinceMs || viewedAtMs >= untilMs) return;
    views.push({ postId: view.postId(), viewedAtMs, surface, position, dwellMs, receivedAtUs });
  });
  return views;
}

/**
 * The packs that may hold views of the window, newest first, page by page.
 *
 * @throws HistoryTooLongError more than PACKS_READ_MAX.
 */
export async function* packPages(
  reads: Reads,
  userId: string,
  { sinceMs, untilMs }: Window,
  packsPerPage = PACKS_PER_PAGE,
): AsyncGenerator<PackRow[], void, void> {
  let read = 0;
  // A view stands in a pack that is as new, or newer by a pack's span.
  const range = [timestampOf(untilMs + PACK_SPAN_MS_MAX), timestampOf(sinceMs)];
  for await (const rows of reads.pages("readPacks", [userId, ...range], packsPerPage)) {
    read += rows.length;
    if (read > PACKS_READ_MAX) throw new HistoryTooLongError(PACKS_READ_MAX);
    yield rows.map(packRowOf);
  }
}

/** The views of a user inside the window, each once as its latest version, newest first, then by id, greatest first. */
export async function* viewsInWindow(
  reads: Reads,
  userId: string,
  window: Window,
  packsPerPage?: number,
): AsyncGenerator<StoredView[], void, void> {
  const settling = createSettling(window);
  for await (const packs of packPages(reads, userId, window, packsPerPage)) yield settling.add(packs);
  yield settling.rest();
}

/**
 * Puts the views of a history's packs in order. Packs come newest first and overlap by their span, and the same view may
 * stand in several: submitted again, or delivered again in another grouping.
 */
export interface Settling {
  /** @returns the views that no later pack can change any more, in order. */
  add(packs: readonly PackRow[]): StoredView[];
  /** @returns the others, when there are no more packs. */
  rest(): StoredView[];
}

export function createSettling(window: Window = EVERYTHING): Settling {
  let pending: StoredView[] = [];

  return {
    add(packs) {
      for (const pack of packs) pending.push(...viewsOf(pack, window));
      const last = packs.at(-1);
      if (last === undefined) return [];
      const sorted = pending.sort(compareViews);
      // The packs to come are as new as the last one, or older.
      const end = sorted.findIndex(({ viewedAtMs }) => viewedAtMs <= last.newestAtMs);
      const settled = end === -1 ? sorted : sorted.slice(0, end);
      pending = end === -1 ? [] : sorted.slice(end);
      return latestVersions(settled);
    },
    rest() {
      const settled = latestVersions(pending.sort(compareViews));
      pending = [];
      return settled;
    },
  };
}

/** Newest first, then by id, greatest first; versions of one view one after the other, the one that stays first. */
function compareViews(a: StoredView, b: StoredView): number {
  return (
    b.viewedAtMs - a.viewedAtMs ||
    (a.postId === b.postId ? 0 : compareUtf8(b.postId, a.postId)) ||
    b.receivedAtUs - a.receivedAtUs ||
    compareDetails(b, a)
  );
}

function latestVersions(sorted: readonly StoredView[]): StoredView[] {
  return sorted.filter((view, index) => {
    const before = sorted[index - 1];
    return before === undefined || before.viewedAtMs !== view.viewedAtMs || before.postId !== view.postId;
  });
}
