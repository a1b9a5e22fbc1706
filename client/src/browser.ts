import { type Fetch, fetchPost } from "./fetch-post.ts";
import { createImpressionsOn, type Impressions } from "./impressions.ts";
import { commonPlatform, memoryStorage } from "./local.ts";
import type { CoreOptions } from "./options.ts";
import type { ImpressionStorage, LifecycleListener, Platform } from "./platform.ts";
import { webLocks } from "./web-locks.ts";

export * from "./index.ts";
export { type ElementViews, observeViews } from "./intersection.ts";

export type BrowserOptions = CoreOptions & {
  /** The service's GraphQL address, such as `/graphql`. On another origin the service must allow this page's (CORS_ORIGINS). */
  readonly endpoint: string;
  /** Stores waiting views. Default: localStorage, or memory where the browser has none. */
  readonly storage?: ImpressionStorage;
  /** Default: the browser's. */
  readonly fetch?: Fetch;
};

/**
 * All requests of a page that may outlive it (`keepalive`, beacons) share 64 KiB in a browser. The SDK has one request in
 * flight, and needs room for a last one; the rest is left for the page.
 */
const BODY_BYTES_MAX = 30 * 1_024;

/** Records which posts the user of this page sees. Safe in any number of tabs. */
export function createImpressions(options: BrowserOptions): Impressions {
  const {
    endpoint,
    storage = defaultStorage(),
    fetch = (url, init) => globalThis.fetch(url, init),
  } = options;
  // During server-side rendering these may be missing; the views of such a run stay in memory.
  const keepalive = typeof Request === "function" && "keepalive" in Request.prototype;
  const platform: Platform = {
    ...commonPlatform(),
    post: fetchPost(fetch, endpoint, keepalive),
    // A failed beacon reports nothing; a failed keepalive request does.
    ...(keepalive ? {} : { beacon: (body: string) => sendBeacon(endpoint, body) }),
    online: () => navigator.onLine !== false,
    listen: listenToPage,
    storage,
    locks: webLocks,
    bodyBytesMax: BODY_BYTES_MAX,
  };
  return createImpressionsOn(platform, options);
}

/** Stores views in localStorage or any other `Storage`. It is synchronous, so that a closing page can still save. */
export function webStorage(storage: Storage): ImpressionStorage {
  return {
    keys: () => Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? ""),
    get: (key) => storage.getItem(key),
    set: (key, value) => storage.setItem(key, value),
    remove: (key) => storage.removeItem(key),
  };
}

function defaultStorage(): ImpressionStorage {
  try {
    // Null in a WebView without DOM storage.
    if (window.localStorage !== null) return webStorage(window.localStorage);
  } catch {
    // The browser forbids it: a sandboxed frame, or blocked site data.
  }
  return memoryStorage();
}

function sendBeacon(endpoint: string, body: string): boolean {
  return navigator.sendBeacon(endpoint, new Blob([body], { type: "application/json" }));
}

/**
 * `visibilitychange` is the last event that a page on a phone reliably gets. A page that really ends gets `pagehide`, and
 * after all listeners of that another `visibilitychange`.
 */
function listenToPage({ background, exit, awake }: LifecycleListener): () => void {
  let ending = false;
  const end = () => {
    ending = true;
    exit();
  };
  const back = () => {
    ending = false;
    awake();
  };
  const visibility = () => {
    if (document.visibilityState !== "hidden") awake();
    else if (ending) exit();
    else background();
  };
  document.addEventListener("visibilitychange", visibility);
  window.addEventListener("pagehide", end);
  window.addEventListener("pageshow", back);
  window.addEventListener("online", awake);
  return () => {
    document.removeEventListener("visibilitychange", visibility);
    window.removeEventListener("pagehide", end);
    window.removeEventListener("pageshow", back);
    window.removeEventListener("online", awake);
  };
}
