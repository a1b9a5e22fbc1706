import type { ViewDetails } from "./impression.ts";

/**
 * The rule for a view. The defaults are the Media Rating Council's guideline for viewable impressions: half of the pixels
 * for one second without a break.
 */
export interface ViewRule {
  /** Share of the post that must be visible, from 0 to 1. Default 0.5. */
  readonly fractionMin?: number;
  /** How long it must be visible without a break, in milliseconds. Default 1,000. */
  readonly durationMs?: number;
  /** The same post counts again this long after its last view ended, in milliseconds. Default 30 min: scrolling back and forth is one view. */
  readonly againAfterMs?: number;
}

/** A view that has ended. */
export interface SeenView {
  readonly postId: string;
  /** When it began, on the clock of `nowMs`. */
  readonly startedAtMs: number;
  /** How long at least `fractionMin` of the post was visible. */
  readonly dwellMs: number;
}

/**
 * Decides which posts were viewed and for how long. It has no clock, no timer and no screen: the caller reports what is
 * visible, with times of any one clock that does not run backwards.
 *
 * A post in several places at once (pinned, and in the feed) is visible while any of them is. The duration of a view is known
 * only when it ends, so call `hideAll` when the app leaves the screen.
 */
export interface ViewTracker {
  /**
   * Reports that this share of the post is visible from now on, at the place that `element` identifies (any value that is
   * equal each time; not needed for a post in one place). Returns the view that ended with that, or null.
   */
  visible(postId: string, fraction: number, nowMs: number, element?: unknown): SeenView | null;
  isVisible(postId: string): boolean;
  /** Reports that nothing is visible any more. Returns the views that ended. */
  hideAll(nowMs: number): SeenView[];
}

/** Posts whose last view is remembered for `againAfterMs`. Above it the oldest are forgotten, and may count again early. */
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
    // Moves the post to the end of the map, whose oldest entries are removed first.
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

/** Takes visible shares and reports views. */
export interface ViewReporter {
  /** See `ViewTracker.visible`. A view has the details of the place that began it. */
  visible(postId: string, fraction: number, details?: ReportedDetails, element?: unknown): void;
  isVisible(postId: string): boolean;
  hideAll(): void;
}

/** The details of a view that are not measured. */
export type ReportedDetails = Omit<ViewDetails, "at" | "dwellMs">;

/**
 * A tracker that reports to `impressions.viewed`. It measures durations on the monotonic clock, and reads a view's time from
 * the device's clock when the view begins.
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
