import { attempt } from "./bounded.ts";
import { commonPlatform } from "./local.ts";
import { createViewReporter, type ReportedDetails, type ViewRule } from "./viewability.ts";

/** Elements of a page that show posts. */
export interface ElementViews {
  /** From now on this element shows this post. Said again of the same two, as a re-render does, it changes nothing. */
  observe(element: Element, postId: string, details?: ReportedDetails): void;
  /** It no longer does: call it before the element is removed or shows another post. */
  unobserve(element: Element): void;
  /** Ends all views, and the observing. */
  disconnect(): void;
}

/** One element, and what the browser last told of it. */
interface Shown {
  readonly postId: string;
  details: ReportedDetails;
  fraction: number;
  /** Has no area, as far as the browser has told. */
  flat: boolean;
  /** Is to be forgotten, unless it is observed again in the same moment. */
  leaving: boolean;
}

/**
 * The browser tells us each time that a share of the element that is one of these comes or goes. Each is a quarter more than
 * the one before, so that of a post that is a thousand screens high, too, each quarter more of the screen is heard of.
 */
const THRESHOLDS = Array.from({ length: 35 }, (_, index) => 0.000_5 * 1.25 ** index).filter(
  (share) => share < 1,
);

/**
 * Watches elements with an IntersectionObserver and reports views by the rule to `impressions`. In a browser without it
 * nothing is reported.
 *
 * A post that is larger than the screen can never be half visible; it also counts as visible by the share of the *screen*
 * that it fills. An element without an area shows nothing.
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
    // What comes first: where one place of a post takes over from another, its view goes on.
    changed.sort((a, b) => b.post.fraction - a.post.fraction);
    for (const { element, post } of changed) report(element, post);
  }
  /** To an IntersectionObserver all of nothing is visible, so that it does not tell where all becomes nothing: it is asked anew. */
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
    // Nothing has moved, so the observer has nothing to say; the views begin anew.
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
    // While capturing: the SDK, which sends when the page is hidden, listens later on the way.
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
      // Of a post that is visible, an element that takes another one's place is, too, until the browser tells.
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
      // A re-render takes an element back and gives it again in one go.
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

/** Of the post or of the screen, whichever is more. */
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
