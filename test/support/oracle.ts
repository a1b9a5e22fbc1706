import { identityOf, type View } from "../../src/domain/impression.ts";
import { VIEWS_COUNT_MAX } from "../../src/domain/limits.ts";
import type { Window } from "../../src/domain/time.ts";
import { laterReceived } from "../../src/domain/versions.ts";
import type { PostViewerRow, SeenPostRow, SeenRule } from "../../src/domain/walk.ts";

/**
 * What a store must answer, worked out the simple way: all views in memory, every question by looking at each of
 * them. Shares no code with the adapters beyond the words of the domain; ids are ordered by comparing buffers.
 */
export interface Oracle {
  /** A view whose second step has completed; passed over where it was received before its user was erased. */
  add(view: View): void;
  /** Forgets what was received of a user through this instant, for good. */
  erase(userId: string, throughUs: number): void;
  seenPosts(userId: string, window: Window): SeenPostRow[];
  postViewers(postId: string, window: Window): PostViewerRow[];
  seenAmong(userId: string, postIds: readonly string[], rule: SeenRule): Set<string>;
  all(): View[];
}

export function createOracle(): Oracle {
  const views = new Map<string, View>();
  const erasedThroughUs = new Map<string, number>();
  const isErased = ({ userId, receivedAtUs }: View) =>
    receivedAtUs <= (erasedThroughUs.get(userId) ?? Number.NEGATIVE_INFINITY);

  const inside = (window: Window, matches: (view: View) => boolean) =>
    [...views.values()].filter(
      (view) => matches(view) && view.viewedAtMs >= window.sinceMs && view.viewedAtMs < window.untilMs,
    );

  return {
    add(view) {
      if (isErased(view)) return;
      const key = identityOf(view);
      const known = views.get(key);
      if (known === undefined || laterReceived(known, view) === view) views.set(key, view);
    },

    erase(userId, throughUs) {
      erasedThroughUs.set(userId, Math.max(throughUs, erasedThroughUs.get(userId) ?? throughUs));
      for (const [key, view] of views) if (isErased(view)) views.delete(key);
    },

    seenPosts(userId, window) {
      const groups = Map.groupBy(
        inside(window, (view) => view.userId === userId),
        (view) => view.postId,
      );
      return [...groups]
        .map(([postId, group]) => {
          const { viewedAtMs, surface, position, dwellMs } = newestOf(group);
          return { postId, lastViewedAtMs: viewedAtMs, views: counted(group), surface, position, dwellMs };
        })
        .sort((a, b) => b.lastViewedAtMs - a.lastViewedAtMs || compareBytes(b.postId, a.postId));
    },

    postViewers(postId, window) {
      const groups = Map.groupBy(
        inside(window, (view) => view.postId === postId),
        (view) => view.userId,
      );
      return [...groups]
        .map(([userId, group]) => ({
          userId,
          lastViewedAtMs: newestOf(group).viewedAtMs,
          views: counted(group),
        }))
        .sort((a, b) => b.lastViewedAtMs - a.lastViewedAtMs || compareBytes(b.userId, a.userId));
    },

    seenAmong(userId, postIds, { minViews, minDwellMs, sinceMs }) {
      const counts = (view: View) =>
        minDwellMs === 0 || (view.dwellMs !== null && view.dwellMs >= minDwellMs);
      const window = { sinceMs, untilMs: Number.POSITIVE_INFINITY };
      return new Set(
        postIds.filter((postId) => {
          const own = inside(
            window,
            (view) => view.userId === userId && view.postId === postId && counts(view),
          );
          return own.length >= minViews;
        }),
      );
    },

    all: () => [...views.values()],
  };
}

function counted(views: readonly View[]): number {
  return Math.min(views.length, VIEWS_COUNT_MAX);
}

function newestOf(views: readonly View[]): View {
  return views.reduce((newest, view) => (view.viewedAtMs > newest.viewedAtMs ? view : newest));
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, "utf8"), Buffer.from(b, "utf8"));
}
