import { type Fetch, fetchPost } from "./fetch-post.ts";
import { createImpressionsOn, type Impressions } from "./impressions.ts";
import { commonPlatform, memoryStorage } from "./local.ts";
import type { CoreOptions } from "./options.ts";
import type { ImpressionStorage, LifecycleListener, Platform } from "./platform.ts";
import { webLocks } from "./web-locks.ts";

export * from "./index.ts";
export { type ElementViews, observeViews } from "./intersection.ts";

export type BrowserOptions = CoreOptions & {
  /** The service's GraphQL address, such as `/graphql`. */
  readonly endpoint: string;
  /** Where views wait. Default: localStorage, or memory where the browser gives none. */
  readonly storage?: ImpressionStorage;
  /** Default: the browser's. */
  readonly fetch?: Fetch;
};

/**
 * A browser lets requests that outlive their page (`keepalive`, beacons) have 64 KiB altogether. One of ours is on its way
 * at a time, so that the rest is room for a last one and for the page's own.
 */
const BODY_BYTES_MAX = 30 * 1_024;

/** Records what the user of this page sees. Safe in any number of tabs. */
export function createImpressions(options: BrowserOptions): Impressions {
  const {
    endpoint,
    storage = defaultStorage(),
    fetch = (url, init) => globalThis.fetch(url, init),
  } = options;
  // While a server renders the page there may be none of these; the views of such a run stay in memory.
  const keepalive = typeof Request === "function" && "keepalive" in Request.prototype;
  const platform: Platform = {
    ...commonPlatform(),
    post: fetchPost(fetch, endpoint, keepalive),
    // A beacon's failure is never heard of; a keepalive request that fails at once is.
    ...(keepalive ? {} : { beacon: (body: string) => sendBeacon(endpoint, body) }),
    online: () => navigator.onLine !== false,
    listen: listenToPage,
    storage,
    locks: webLocks,
    bodyBytesMax: BODY_BYTES_MAX,
  };
  return createImpressionsOn(platform, options);
}

/** localStorage, or any other Storage, as a storage of ours. It answers at once, so that a closing page can still save. */
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
    // Forbidden to this page: a sandboxed frame, or a user who blocks site data.
  }
  return memoryStorage();
}

function sendBeacon(endpoint: string, body: string): boolean {
  return navigator.sendBeacon(endpoint, new Blob([body], { type: "application/json" }));
}

/**
 * `visibilitychange` is the last event that phones reliably give a page; `pagehide` comes where a page really ends, and then
 * the other one once more, when all listeners of `pagehide` have said what they had to say.
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
