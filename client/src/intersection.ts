import { commonPlatform } from "./local.ts";
import { createViewReporter, type ReportedDetails, type ViewReporter, type ViewRule } from "./viewability.ts";

/** Elements of a page that show posts. */
export interface ElementViews {
  /** From now on this element shows this post. */
  observe(element: Element, postId: string, details?: ReportedDetails): void;
  /** It no longer does: call it before the element is removed or shows another post. */
  unobserve(element: Element): void;
  /** Ends all views, and the observing. */
  disconnect(): void;
}

/** The browser tells us at each tenth, so that also a post that is taller than the screen is heard of while it moves. */
const THRESHOLDS = Array.from({ length: 11 }, (_, index) => index / 10);

/**
 * Watches elements with an IntersectionObserver and reports views by the rule to `impressions`.
 *
 * A post that is larger than the screen can never be half visible; it also counts as visible by the share of the *screen*
 * that it fills.
 */
export function observeViews(
  impressions: Parameters<typeof createViewReporter>[0],
  { root = null, ...rule }: ViewRule & { readonly root?: Element | null } = {},
): ElementViews {
  const reporter: ViewReporter = createViewReporter(impressions, commonPlatform(), rule);
  const shown = new Map<
    Element,
    { readonly postId: string; readonly details: ReportedDetails; fraction: number }
  >();
  const thresholds = [...THRESHOLDS, rule.fractionMin ?? 0.5];
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, intersectionRatio, intersectionRect, rootBounds } of entries) {
        const post = shown.get(target);
        if (post === undefined) continue;
        post.fraction = Math.max(intersectionRatio, share(intersectionRect, rootBounds));
        if (document.visibilityState === "visible")
          reporter.visible(post.postId, post.fraction, post.details);
      }
    },
    { root, threshold: thresholds },
  );
  const visibility = () => {
    if (document.visibilityState === "hidden") reporter.hideAll();
    // Nothing has moved, so the observer has nothing to say; the views begin anew.
    else
      for (const { postId, fraction, details } of shown.values()) reporter.visible(postId, fraction, details);
  };
  // While capturing: the SDK, which sends when the page is hidden, listens later on the way.
  document.addEventListener("visibilitychange", visibility, { capture: true });
  window.addEventListener("pagehide", reporter.hideAll, { capture: true });

  return {
    observe(element, postId, details = {}) {
      this.unobserve(element);
      shown.set(element, { postId, details, fraction: 0 });
      observer.observe(element);
    },
    unobserve(element) {
      const post = shown.get(element);
      if (post === undefined) return;
      shown.delete(element);
      observer.unobserve(element);
      reporter.visible(post.postId, 0);
    },
    disconnect() {
      reporter.hideAll();
      shown.clear();
      observer.disconnect();
      document.removeEventListener("visibilitychange", visibility, { capture: true });
      window.removeEventListener("pagehide", reporter.hideAll, { capture: true });
    },
  };
}

function share(visible: DOMRectReadOnly, root: DOMRectReadOnly | null): number {
  return root === null ? 0 : (visible.width * visible.height) / (root.width * root.height || 1);
}
