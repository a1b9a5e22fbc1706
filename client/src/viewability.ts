import type { ViewDetails } from "./impression.ts";

/**
 * When has a post been seen? The numbers are the industry's rule: the Media Rating Council's viewable impression
 * guidelines ask for half of the pixels for one second without a break.
 */
export interface ViewRule {
  /** Share of the post that has to be visible, 0 to 1. Default 0.5. */
  readonly fractionMin?: number;
  /** For how long without a break, in milliseconds. Default 1,000. */
  readonly durationMs?: number;
  /** The same post counts again so long after its last view ended. Default 30 min: scrolling back and forth is one view. */
  readonly againAfterMs?: number;
}

/** A view that has come to its end. */
export interface SeenView {
  readonly postId: string;
  /** When it began, on the clock that `nowMs` comes from. */
  readonly startedAtMs: number;
  /** How long at least `fractionMin` of it was visible. */
  readonly dwellMs: number;
}

/**
 * Decides, from what is visible when, which posts were viewed and for how long. No clock, no timer, no screen: give it what
 * you observe, with times of one clock (of your choice, not running backwards).
 *
 * A post that stands in several places at once (pinned, and in the feed) is visible while any of them is. A view is known
 * when it ends, since only then its duration is; so call `hideAll` when the app leaves the screen.
 */
export interface ViewTracker {
  /**
   * This share of the post is visible from now on, at the place that `element` stands for (anything that is equal each time;
   * not needed where a post stands in one place). The view that ended with that, or null.
   */
  visible(postId: string, fraction: number, nowMs: number, element?: unknown): SeenView | null;
  isVisible(postId: string): boolean;
  /** Nothing is visible any more. */
  hideAll(nowMs: number): SeenView[];
}

/** Posts whose last view is remembered for `againAfterMs`; the oldest are forgotten, and may then count again early. */
const REMEMBERED_MAX = 1_000;

export function createViewTracker({
  fractionMin = 0.5,
  durationMs = 1_000,
  againAfterMs = 1_800_000,
}: ViewRule = {}): ViewTracker {
  const showing = new Map<string, { readonly startMs: number; readonly elements: Set<unknown> }>();
  const lastEndedAtMs = new Map<string, number>();

  function hide(postId: string, nowMs: number): SeenView | null {
    const startMs = showing.get(postId)?.startMs;
    showing.delete(postId);
    if (startMs === undefined) return null;
    if (nowMs - startMs < durationMs) return null;
    const lastMs = lastEndedAtMs.get(postId);
    // At the end of the map, also where it was there: the map forgets from its beginning.
    lastEndedAtMs.delete(postId);
    lastEndedAtMs.set(postId, nowMs);
    for (const oldest of lastEndedAtMs.keys()) {
      if (lastEndedAtMs.size <= REMEMBERED_MAX) break;
      lastEndedAtMs.delete(oldest);
    }
    if (lastMs !== undefined && startMs - lastMs < againAfterMs) return null;
    return { postId, startedAtMs: startMs, dwellMs: nowMs - startMs };
  }

  return {
    visible(postId, fraction, nowMs, element = postId) {
      const shown = showing.get(postId);
      if (fraction >= fractionMin) {
        if (shown === undefined) showing.set(postId, { startMs: nowMs, elements: new Set([element]) });
        else shown.elements.add(element);
        return null;
      }
      shown?.elements.delete(element);
      return shown?.elements.size === 0 ? hide(postId, nowMs) : null;
    },
    isVisible: (postId) => showing.has(postId),
    hideAll: (nowMs) => [...showing.keys()].flatMap((postId) => hide(postId, nowMs) ?? []),
  };
}

/** Takes what is visible and reports what was viewed; made by `createViewReporter`. */
export interface ViewReporter {
  /** See `ViewTracker.visible`. The details are those of the place that began the view. */
  visible(postId: string, fraction: number, details?: ReportedDetails, element?: unknown): void;
  isVisible(postId: string): boolean;
  hideAll(): void;
}

/** What goes along with a view; when it was and for how long is measured. */
export type ReportedDetails = Omit<ViewDetails, "at" | "dwellMs">;

/**
 * A tracker that reports to `impressions.viewed`. Durations are measured on the monotonic clock; the view's time is the
 * device's, read at its beginning.
 */
export function createViewReporter(
  impressions: { viewed(postId: string, details: ViewDetails): void },
  clock: { wallMs(): number; monotonicMs(): number },
  rule: ViewRule = {},
): ViewReporter {
  const tracker = createViewTracker(rule);
  const known = new Map<string, { readonly atMs: number; readonly details: ReportedDetails }>();

  function end(postId: string, view: SeenView | null): void {
    const begun = known.get(postId);
    known.delete(postId);
    if (view !== null && begun !== undefined)
      impressions.viewed(postId, { ...begun.details, at: begun.atMs, dwellMs: view.dwellMs });
  }

  return {
    visible(postId, fraction, details = {}, element = postId) {
      const view = tracker.visible(postId, fraction, clock.monotonicMs(), element);
      if (!tracker.isVisible(postId)) end(postId, view);
      else if (!known.has(postId)) known.set(postId, { atMs: clock.wallMs(), details });
    },
    isVisible: tracker.isVisible,
    hideAll() {
      for (const view of tracker.hideAll(clock.monotonicMs())) end(view.postId, view);
      known.clear();
    },
  };
}
