import { VIEWS_COUNT_MAX } from "../../domain/limits.ts";
import type { Position, PostViewerRow, WalkPage, WalkRequest } from "../../domain/walk.ts";
import type { Reads } from "../database.ts";
import {
  createPostViews,
  type InstantsByUser,
  type PackDensity,
  type ViewerRow,
} from "../packs/post-views.ts";
import { instantMsOf, timestampOf } from "../rows.ts";
import { SLICE_LENGTHS_SECONDS } from "../slices.ts";
import { viewerPartition } from "../writes/viewer-writes.ts";
import { createViewerMerge, type MergeStep, type ViewerMerge } from "./viewer-merge.ts";
import {
  CHUNK_ROWS_MAX,
  chunkFor,
  comparePositions,
  emptyPage,
  endOf,
  isEmpty,
  SCANNED_ROWS_MAX,
} from "./walk-limits.ts";

/**
 * Rows of a post that one page reads to know all of them: those above its place, or those of the whole window. They tell
 * who viewed the post and when, but for those whose histories were not written, and only the packs around them are read. Of
 * a post with more rows it is cheaper to read what the page's users viewed.
 */
const ROWS_KNOWN_MAX = 1_000;

export interface PostViewersOptions {
  readonly density: PackDensity;
  /** ROWS_KNOWN_MAX unless given. */
  readonly rowsKnownMax?: number;
}

/**
 * A page of a post's viewers. A viewer row is given only if it is the newest one of its user whose view exists; so a viewer
 * comes once, and a row whose history was not written, or was erased, not at all.
 */
export async function postViewersPage(
  database: Reads,
  request: WalkRequest,
  { density, rowsKnownMax = ROWS_KNOWN_MAX }: PostViewersOptions,
): Promise<WalkPage<PostViewerRow>> {
  const { ownerId: postId, window, after, limit, withViews = true } = request;
  if (isEmpty(window)) return emptyPage(window);
  const { sinceMs } = window;
  const start = after ?? endOf(window);
  const postViews = createPostViews(database, postId, density);
  const rowsPerRead = chunkFor(limit, 0);
  const rowsPerColdRead = withViews ? CHUNK_ROWS_MAX : rowsPerRead;
  const merge = createViewerMerge(database, { postId, sinceMs, after: start, rowsPerRead, rowsPerColdRead });
  /** The rows above the page's place; null where they are not known. */
  let above: readonly ViewerRow[] | null = [];
  /** The newest view of each user that was found to have one. */
  const newest = new Map<string, number>();
  /** How often users viewed the post, as far as it is known. */
  const views = new Map<string, number>();
  let firstMs: Promise<number> | null = null;
  /** Whether `above` and `below` are all rows of the window. */
  let isWindowKnown = false;
  const page: ViewerRow[] = [];
  /** What the page has read from its place on. */
  const below: ViewerRow[] = [];
  let boundMs: number | null = after === null ? null : window.untilMs;
  let position = start;
  let next: Position | null = null;

  walk: for (let round = 0; ; round++) {
    const wanted = Math.min(chunkFor(limit - page.length, round), SCANNED_ROWS_MAX - below.length);
    let { scan, end } = await take(merge, wanted);
    below.push(...scan);
    if (round === 0 && after !== null) {
      above = merge.isHot() ? null : await rowsAbove(database, request, after, rowsKnownMax);
    }
    if (round === 0 && end.kind === "full" && withViews && above !== null && !merge.isHot()) {
      // What counting wants of the window's rows tells what is newest, too.
      const rest = await take(merge, Math.max(1, rowsKnownMax - above.length - below.length));
      scan = [...scan, ...rest.scan];
      below.push(...rest.scan);
      end = rest.end;
    }
    isWindowKnown ||= round === 0 && end.kind === "end" && above !== null;
    boundMs ??= Math.min(window.untilMs, firstInstantMs(scan, end) ?? window.untilMs);
    let learned = 0;
    for (const [index, row] of scan.entries()) {
      if (index === learned) {
        // As many as may still be given, and one to see that there is more: most rows are the newest of their user.
        learned = Math.min(scan.length, index + limit - page.length + 1);
        await learn(scan.slice(index, learned), boundMs);
      }
      if (newest.get(row.userId) === row.viewedAtMs) {
        if (page.length === limit) {
          // The page is full and here is one more: the walk goes on, and will not end with an empty page.
          next = position;
          break walk;
        }
        page.push(row);
      }
      position = placeOf(row);
    }
    if (end.kind === "end") break;
    if (end.kind === "paused") {
      next = end.at;
      break;
    }
    if (below.length >= SCANNED_ROWS_MAX) {
      next = position;
      break;
    }
  }
  return { rows: page.map(viewerOf), boundMs, next };

  function viewerOf({ userId, viewedAtMs }: ViewerRow): PostViewerRow {
    return { userId, lastViewedAtMs: viewedAtMs, views: Math.min(views.get(userId) ?? 1, VIEWS_COUNT_MAX) };
  }

  /** Finds the newest view of the rows' users, as far as it is not known. */
  async function learn(scan: readonly ViewerRow[], untilMs: number): Promise<void> {
    const rows = scan.filter(({ userId }) => !newest.has(userId));
    if (rows.length === 0) return;
    for (const [userId, instants] of await storedFrom(rows, untilMs)) {
      const [instant] = instants;
      if (instant !== undefined) newest.set(userId, instant);
      if (withViews) views.set(userId, instants.length);
    }
  }

  /** The views of the rows' users that exist: with counts, all of the window; else from the rows on to the walk's bound. */
  async function storedFrom(rows: readonly ViewerRow[], untilMs: number): Promise<InstantsByUser> {
    const users = new Set(rows.map(({ userId }) => userId));
    if (above !== null && (isWindowKnown || !withViews)) {
      const known = isWindowKnown ? [...above, ...below] : [...above, ...rows];
      return postViews.storedAmong(known.filter(({ userId }) => users.has(userId)));
    }
    if (withViews) return storedSinceFirst([...users], untilMs);
    const oldestMs = Math.min(...rows.map(({ viewedAtMs }) => viewedAtMs));
    return postViews.storedWithin([...users], oldestMs, untilMs);
  }

  /** All views by these users: of a young post the histories since its first viewer tell as much as whole ones. */
  async function storedSinceFirst(userIds: readonly string[], untilMs: number): Promise<InstantsByUser> {
    firstMs ??= firstViewerMs(database, postId, merge, sinceMs);
    return postViews.storedWithin(userIds, await firstMs, untilMs);
  }
}

/** The rows of a post in the window down to a place, which an earlier page ended with; null where they are too many. */
async function rowsAbove(
  database: Reads,
  { ownerId, window }: WalkRequest,
  place: Position,
  rowsMax: number,
): Promise<readonly ViewerRow[] | null> {
  const merge = createViewerMerge(database, {
    postId: ownerId,
    sinceMs: place.viewedAtMs,
    after: endOf(window),
    rowsPerRead: chunkFor(rowsMax, 0),
  });
  const { scan, end } = await take(merge, rowsMax + 1);
  const above = scan.filter((row) => comparePositions(placeOf(row), place) >= 0);
  return end.kind === "end" || above.length < scan.length ? above : null;
}

/** An instant before which the post has no viewers inside the window; the later, the better. */
async function firstViewerMs(
  database: Reads,
  postId: string,
  merge: ViewerMerge,
  sinceMs: number,
): Promise<number> {
  const slices = merge.oldestSlices() ?? [];
  const instants = slices.map(async (slice) => {
    // A finer slice is short enough to be taken from its start.
    if (slice.seconds !== SLICE_LENGTHS_SECONDS[0]) return slice.startMs;
    const partition = viewerPartition(postId, slice, 0);
    const [row] = await database.read("readOldestViewer", [...partition, timestampOf(sinceMs)], 1);
    return row === undefined ? slice.startMs : instantMsOf(row, "viewed_at");
  });
  return slices.length === 0 ? sinceMs : Math.max(sinceMs, Math.min(...(await Promise.all(instants))));
}

/** The next rows of the merge, and why there are no more of them. */
async function take(
  merge: ViewerMerge,
  count: number,
): Promise<{ scan: ViewerRow[]; end: Exclude<MergeStep, { kind: "row" }> | Full }> {
  const scan: ViewerRow[] = [];
  while (scan.length < count) {
    const step = await merge.next(count - scan.length);
    if (step.kind !== "row") return { scan, end: step };
    scan.push({ userId: step.row.id, viewedAtMs: step.row.viewedAtMs });
  }
  return { scan, end: { kind: "full" } };
}

interface Full {
  readonly kind: "full";
}

function placeOf({ userId, viewedAtMs }: ViewerRow): Position {
  return { viewedAtMs, id: userId };
}

/** Just above the newest row; where the page ended before any, where it ended: nothing at or after that was seen. */
function firstInstantMs(scan: readonly ViewerRow[], end: MergeStep | Full): number | null {
  const first = scan[0];
  if (first !== undefined) return first.viewedAtMs + 1;
  return end.kind === "paused" ? end.at.viewedAtMs : null;
}
