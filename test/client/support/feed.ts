// The page of test/browser/client.test.ts and access.test.ts: a feed that records what is seen. A browser runs it, bundled.
import { createImpressions, observeViews } from "../../../client/src/browser.ts";

const parameters = new URLSearchParams(location.search);
const errors: object[] = [];
const token = parameters.get("token");
const never = () => new Promise<never>(() => undefined);
const hangs = parameters.get("hangs");
if (hangs === "locks") Object.defineProperty(navigator, "locks", { value: { request: never } });
const impressions = createImpressions({
  ...(hangs === "storage" ? { storage: { keys: never, get: never, set: never, remove: never } } : {}),
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
  post.style.cssText = `height: ${index === 5 ? parameters.get("tall") : 300}px; margin: 0; background: hsl(${index * 40} 60% 70%)`;
  post.textContent = post.id;
  document.body.append(post);
}
scrollTo(0, Number(parameters.get("y")));
for (const [index, post] of document.querySelectorAll("article").entries())
  views.observe(post, post.id, { surface: "HOME", position: index });

// As an app may take them.
const { observe, unobserve, disconnect } = views;
const show = (id: string, height: number, post?: string) => {
  const element = document.createElement("article");
  element.id = id;
  element.style.cssText = `height: ${height}px; margin: 0`;
  document.body.prepend(element);
  if (post !== undefined) observe(element, post);
};
const elementOf = (id: string) => document.getElementById(id) as HTMLElement;

/** The calls of the test to the page. */
const feed = {
  impressions,
  errors,
  observe,
  disconnect,
  show,
  collapse(id: string): void {
    elementOf(id).style.height = "0";
  },
  /** The calls of a framework in each render. */
  renders: {
    again(id: string) {
      observe(elementOf(id), id);
    },
    "back and again"(id: string) {
      unobserve(elementOf(id));
      observe(elementOf(id), id);
    },
    "another element"(id: string) {
      const old = elementOf(id);
      const fresh = old.cloneNode() as HTMLElement;
      old.replaceWith(fresh);
      unobserve(old);
      observe(fresh, id);
    },
  } as Record<string, (id: string) => void>,
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
