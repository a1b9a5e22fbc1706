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
/** Packs that one question reads of one user's history. Ten years of a person's own views are far fewer; a script's may be more. */
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

/** Told of views one by one. What it is given is its own until it returns; it copies what it keeps. */
export type Visit = (view: StoredView) => void;

/** Visits the views of a pack that lie inside the window, newest first. */
function visitPack(
  { bytes, newestAtMs, id, receivedAtUs }: PackRow,
  { sinceMs, untilMs }: Window,
  visit: Visit,
): void {
  const visited: Writable<StoredView> = { ...NO_VIEW, receivedAtUs };
  forEachView(bytes, newestAtMs, id, (view) => {
    const { viewedAtMs } = view;
    if (viewedAtMs < sinceMs || viewedAtMs >= untilMs) return;
    visited.postId = view.postId();
    visited.viewedAtMs = viewedAtMs;
    visited.surface = view.surface;
    visited.position = view.position;
    visited.dwellMs = view.dwellMs;
    visit(visited);
  });
}

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

const NO_VIEW: StoredView = {
  postId: "",
  viewedAtMs: 0,
  surface: null,
  position: null,
  dwellMs: null,
  receivedAtUs: 0,
};

/** The views of a pack inside the window, newest first. */
export function viewsOf(pack: PackRow, window: Window = EVERYTHING): StoredView[] {
  const views: StoredView[] = [];
  visitPack(pack, window, (view) => views.push({ ...view }));
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
): AsyncGenerator<(visit: Visit) => void, void, void> {
  const settling = createSettling(window);
  for await (const packs of packPages(reads, userId, window, packsPerPage)) {
    yield (visit) => settling.add(packs, visit);
  }
  yield settling.rest;
}

/**
 * Packs that are looked at together, at most, where they lie close together, as those of a script that submits every second; more
 * where more views than that wait, so that these are not sorted again for each few packs.
 */
const CLUSTER_PACKS_MAX = 64;

/**
 * Puts the views of a history's packs in order. Packs come newest first and overlap by their span, and the same view may
 * stand in several: submitted again, or delivered again in another grouping. Most packs lie apart from the next one.
 */
export interface Settling {
  /** Visits the views that no later pack can change any more, in order. */
  add(packs: readonly PackRow[], visit: Visit): void;
  /** Visits the others, when there are no more packs. */
  rest(visit: Visit): void;
}

export function createSettling(window: Window = EVERYTHING): Settling {
  /** Packs that may share views with the next one, and views of such before them. */
  let cluster: PackRow[] = [];
  let pending: StoredView[] = [];

  /** @param untilMs views that are as new as this, or older, stay: a pack to come may have them, too. */
  function settle(visit: Visit, untilMs: number): void {
    const [only] = cluster;
    if (only !== undefined && cluster.length === 1 && pending.length === 0 && untilMs === NOTHING_COMES) {
      visitPack(only, window, visit);
    } else {
      const views = [...pending, ...cluster.flatMap((pack) => viewsOf(pack, window))];
      const sorted = latestVersions(views.sort(compareViews));
      const end = sorted.findIndex(({ viewedAtMs }) => viewedAtMs <= untilMs);
      pending = end === -1 ? [] : sorted.slice(end);
      for (const view of end === -1 ? sorted : sorted.slice(0, end)) visit(view);
    }
    cluster = [];
  }

  return {
    add(packs, visit) {
      for (const pack of packs) {
        const last = cluster.at(-1);
        if (last !== undefined) {
          if (last.newestAtMs - pack.newestAtMs > PACK_SPAN_MS_MAX) settle(visit, NOTHING_COMES);
          else if (cluster.length >= Math.max(CLUSTER_PACKS_MAX, pending.length))
            settle(visit, last.newestAtMs);
        }
        cluster.push(pack);
      }
    },
    rest: (visit) => settle(visit, NOTHING_COMES),
  };
}

/** No view of a pack to come is so new. */
const NOTHING_COMES = Number.NEGATIVE_INFINITY;

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
