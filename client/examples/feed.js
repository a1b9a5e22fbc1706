// A web page: every element with data-post is a post. Bundle it, or serve the package's dist/ as it is.
import { createImpressions, observeViews } from "@impressions/client/browser";

const impressions = createImpressions({
  endpoint: "/graphql",
  userId: document.body.dataset.user,
  onError: (error) => console.warn(error.code, error.message),
});
const views = observeViews(impressions);

// Posts come and go while the feed scrolls.
const watch = (node, observe) => {
  if (!(node instanceof Element)) return;
  for (const post of [node, ...node.querySelectorAll("[data-post]")]) {
    if (!(post instanceof HTMLElement) || post.dataset.post === undefined) continue;
    if (observe) views.observe(post, post.dataset.post, { surface: "HOME" });
    else views.unobserve(post);
  }
};
watch(document.body, true);
new MutationObserver((changes) => {
  for (const { addedNodes, removedNodes } of changes) {
    for (const node of addedNodes) watch(node, true);
    for (const node of removedNodes) watch(node, false);
  }
}).observe(document.body, { childList: true, subtree: true });
