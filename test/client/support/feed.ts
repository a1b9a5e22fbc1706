// The page of test/browser/client.test.ts and access.test.ts: a feed that records what is seen. A browser runs it, bundled.
import { createImpressions, observeViews } from "../../../client/src/browser.ts";

const parameters = new URLSearchParams(location.search);
const errors: object[] = [];
const token = parameters.get("token");
const impressions = createImpressions({
  endpoint: parameters.get("endpoint") ?? "/graphql",
  ...(token === null ? {} : { getToken: () => token }),
  userId: parameters.get("user") ?? "maria",
  sendAfterMs: 600_000,
  onError: (error) => errors.push(error),
});
const views = observeViews(impressions);
const prefix = parameters.get("prefix") ?? "post";
for (let index = 0; index < 30; index++) {
  const post = document.createElement("article");
  post.id = `${prefix}-${index}`;
  // One of them is far taller than the screen.
  post.style.cssText = `height: ${index === 5 ? 3_000 : 300}px; margin: 0; background: hsl(${index * 40} 60% 70%)`;
  post.textContent = post.id;
  document.body.append(post);
}
scrollTo(0, Number(parameters.get("y")));
for (const [index, post] of document.querySelectorAll("article").entries())
  views.observe(post, post.id, { surface: "HOME", position: index });

/** What the test asks of the page. */
const feed = {
  impressions,
  errors,
  view(name: string, count: number): void {
    for (let index = 0; index < count; index++) impressions.viewed(`${name}-view-${index}`);
  },
  look: (durationMs: number): Promise<void> =>
    new Promise((resolve) => {
      requestAnimationFrame(() => setTimeout(resolve, durationMs));
    }),
  hide(): void {
    Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  },
};
Object.assign(window, { feed });
