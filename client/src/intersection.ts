import { attempt } from "./bounded.ts";
import { commonPlatform } from "./local.ts";
import { createViewReporter, type ReportedDetails, type ViewRule } from "./viewability.ts";

/** Reports the views of elements that show posts. */
export interface ElementViews {
  /** Watches an element that shows this post. A repeated call with the same two, as in a re-render, changes nothing. */
  observe(element: Element, postId: string, details?: ReportedDetails): void;
  /** Stops watching the element: call it before the element is removed or shows another post. */
  unobserve(element: Element): void;
  /** Ends all views and stops watching: call it when the feed goes away, and before `close()` of the impressions. */
  disconnect(): void;
}

/** The last known state of one element. */
interface Shown {
  readonly postId: string;
  details: ReportedDetails;
  fraction: number;
  /** The element had no area at the last report. */
  flat: boolean;
  /** The element is removed, unless it is observed again in the same task. */
  leaving: boolean;
}

/**
 * The browser reports whenever the visible share of an element crosses one of these. Each is a quarter more than the one
 * before, so that even for a post of a thousand screens the steps are at most a quarter of the visible area.
 */
const THRESHOLDS = Array.from({ length: 35 }, (_, index) => 0.000_5 * 1.25 ** index).filter(
  (share) => share < 1,
);

/**
 * Watches elements with an IntersectionObserver and reports views by the rule to `impressions`. In a browser without
 * IntersectionObserver it reports nothing.
 *
 * A post that is larger than the screen can never be half visible, so it also counts by the share of the *screen* that it
 * fills. An element without an area is never visible.
 */
export function observeViews(
  impressions: Parameters<typeof createViewReporter>[0],
  { root = null, ...rule }: ViewRule & { readonly root?: Element | null } = {},
): ElementViews {
  const reporter = createViewReporter(impressions, commonPlatform(), rule);
  const shown = new Map<Element, Shown>();
  let observer: IntersectionObserver | undefined;
  let sizes: ResizeObserver | undefined;

  function report(element: Element, { postId, fraction, details }: Shown): void {
    if (document.visibilityState === "visible") reporter.visible(postId, fraction, details, element);
  }
  function onChange(entries: readonly IntersectionObserverEntry[]): void {
    const changed = entries.flatMap((entry) => {
      const post = shown.get(entry.target);
      if (post === undefined) return [];
      post.flat = areaOf(entry.boundingClientRect) === 0;
      post.fraction = fractionOf(entry);
      return { element: entry.target, post };
    });
    // Appearing elements come first: a post that moves from one element to another stays visible.
    changed.sort((a, b) => b.post.fraction - a.post.fraction);
    for (const { element, post } of changed) report(element, post);
  }
  /** An IntersectionObserver treats an element without area as fully visible and misses the change, so the element is observed anew. */
  function onSize(entries: readonly ResizeObserverEntry[]): void {
    for (const { target } of entries) {
      const post = shown.get(target);
      if (post === undefined || post.flat === (areaOf(target.getBoundingClientRect()) === 0)) continue;
      observer?.unobserve(target);
      observer?.observe(target);
    }
  }
  function onVisibility(): void {
    if (document.visibilityState === "hidden") reporter.hideAll();
    // Nothing has moved, so the observer reports nothing; new views begin.
    else for (const [element, post] of shown) report(element, post);
  }
  function forget(element: Element, { postId }: Shown): void {
    shown.delete(element);
    observer?.unobserve(element);
    sizes?.unobserve(element);
    reporter.visible(postId, 0, {}, element);
  }

  attempt(() => {
    const threshold = [0, ...THRESHOLDS, rule.fractionMin ?? 0.5, 1];
    observer = new IntersectionObserver(onChange, { root, threshold });
    // In the capture phase: it runs before the SDK's own listener, which sends when the page is hidden.
    document.addEventListener("visibilitychange", onVisibility, { capture: true });
    window.addEventListener("pagehide", reporter.hideAll, { capture: true });
    sizes = new ResizeObserver(onSize);
  });

  return {
    observe(element, postId, details = {}) {
      const before = shown.get(element);
      if (before !== undefined && before.postId === postId) {
        before.details = details;
        before.leaving = false;
        return;
      }
      if (before !== undefined) forget(element, before);
      // A second element of a visible post counts as visible until the browser reports it.
      const post = {
        postId,
        details,
        fraction: reporter.isVisible(postId) ? 1 : 0,
        flat: false,
        leaving: false,
      };
      attempt(() => {
        observer?.observe(element);
        shown.set(element, post);
        sizes?.observe(element);
        report(element, post);
      });
    },
    unobserve(element) {
      const post = shown.get(element);
      if (post === undefined) return;
      post.leaving = true;
      // A re-render unobserves and observes an element in one task.
      void Promise.resolve().then(() => {
        if (post.leaving && shown.get(element) === post) forget(element, post);
      });
    },
    disconnect() {
      attempt(() => {
        reporter.hideAll();
        shown.clear();
        observer?.disconnect();
        sizes?.disconnect();
        document.removeEventListener("visibilitychange", onVisibility, { capture: true });
        window.removeEventListener("pagehide", reporter.hideAll, { capture: true });
      });
    },
  };
}

/** The visible share of the post, or the share of the screen that it fills, whichever is larger. */
function fractionOf({
  intersectionRatio,
  intersectionRect,
  boundingClientRect,
  rootBounds,
}: IntersectionObserverEntry): number {
  if (areaOf(boundingClientRect) === 0) return 0;
  const screen = rootBounds === null ? 0 : areaOf(rootBounds);
  return Math.max(intersectionRatio, screen === 0 ? 0 : areaOf(intersectionRect) / screen);
}

function areaOf({ width, height }: DOMRectReadOnly): number {
  return width * height;
}
