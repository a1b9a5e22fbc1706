import { attempt } from "./bounded.ts";
import { type Fetch, fetchPost } from "./fetch-post.ts";
import { createImpressionsOn, type Impressions } from "./impressions.ts";
import { commonPlatform, memoryStorage, processLocks } from "./local.ts";
import type { CoreOptions } from "./options.ts";
import type { ImpressionStorage, LifecycleListener } from "./platform.ts";
import { createViewReporter, type ReportedDetails, type ViewRule } from "./viewability.ts";

export * from "./index.ts";

/** `AppState` of `react-native`. The app passes it in, so that the SDK has no dependency. */
export interface AppStateLike {
  addEventListener(type: "change", listener: (state: string) => void): { remove(): void };
}

/** `AsyncStorage` of `@react-native-async-storage/async-storage`, or anything compatible. */
export interface AsyncStorageLike {
  getAllKeys(): Promise<readonly string[]>;
  getItem(key: string): Promise<string | null>;
  setItem(key: string, value: string): Promise<void>;
  removeItem(key: string): Promise<void>;
}

/** `NetInfo` of `@react-native-community/netinfo`, or anything compatible. */
export interface NetInfoLike {
  addEventListener(listener: (state: { readonly isConnected: boolean | null }) => void): () => void;
}

export type ReactNativeOptions = CoreOptions & {
  /** The service's GraphQL address, such as `https://api.example.com/graphql`. */
  readonly endpoint: string;
  readonly appState: AppStateLike;
  /** Stores waiting views: `asyncStorage(AsyncStorage)`. Default: memory, where a killed app loses its unsent views. */
  readonly storage?: ImpressionStorage;
  /** Tells whether there is a network. Without it the SDK tries in any case, and fails without a network. */
  readonly netInfo?: NetInfoLike;
  /** Default: React Native's. */
  readonly fetch?: Fetch;
};

/** Just under the server's 256 KiB. */
const BODY_BYTES_MAX = 240 * 1_024;

/** Records which posts the user of this app sees. */
export function createImpressions(options: ReactNativeOptions): Impressions {
  const { endpoint, appState, netInfo, storage = memoryStorage(), fetch = globalThis.fetch } = options;
  let connected = true;

  function listen({ background, awake }: LifecycleListener): () => void {
    // `inactive` (iOS: a call, the app switcher) is the last state that an app gets before it is swiped away.
    // The SDK sends in the next microtask: by then `listViews` has ended its views at the same event.
    const app = appState.addEventListener("change", (state) => {
      if (state === "active") awake();
      else void Promise.resolve().then(background);
    });
    const unlisten = netInfo?.addEventListener(({ isConnected }) => {
      const back = !connected && isConnected !== false;
      connected = isConnected !== false;
      if (back) awake();
    });
    return () => {
      app.remove();
      unlisten?.();
    };
  }

  return createImpressionsOn(
    {
      ...commonPlatform(),
      post: fetchPost(fetch, endpoint),
      online: () => connected,
      listen,
      storage,
      locks: processLocks,
      bodyBytesMax: BODY_BYTES_MAX,
    },
    options,
  );
}

/** Stores views in AsyncStorage. */
export function asyncStorage(storage: AsyncStorageLike): ImpressionStorage {
  return {
    keys: () => storage.getAllKeys(),
    get: (key) => storage.getItem(key),
    set: (key, value) => storage.setItem(key, value),
    remove: (key) => storage.removeItem(key),
  };
}

/** An item as FlatList, SectionList and FlashList report it. */
export interface ViewToken<Item> {
  readonly item: Item;
  readonly key?: string;
  readonly index?: number | null;
  readonly isViewable: boolean;
  /** In a SectionList; its headers and footers have no index. */
  readonly section?: unknown;
}

type OnViewableItemsChanged<Item> = (info: { readonly changed: readonly ViewToken<Item>[] }) => void;

/** Props for a list. React Native needs the same objects for as long as the list is mounted: keep them in a ref or a state. */
export interface ListViews<Item> {
  /**
   * All that a list needs. An item is visible when half of it is on the screen, or when it fills half of the screen (a post
   * that is taller than the screen). Use it alone, without the other two.
   */
  readonly viewabilityConfigCallbackPairs: {
    readonly viewabilityConfig: {
      readonly itemVisiblePercentThreshold?: number;
      readonly viewAreaCoveragePercentThreshold?: number;
      readonly minimumViewTime: number;
    };
    readonly onViewableItemsChanged: OnViewableItemsChanged<Item>;
  }[];
  /** For a list that takes only one config. It never reports a post that is taller than two screens. */
  readonly viewabilityConfig: {
    readonly itemVisiblePercentThreshold: number;
    readonly minimumViewTime: number;
  };
  readonly onViewableItemsChanged: OnViewableItemsChanged<Item>;
  /** Ends the views of items that are no longer in the list: call it when the items change. An emptied list reports nothing by itself. */
  itemsChanged(items: readonly Item[]): void;
  /**
   * Ends all views and starts none until `showAgain()`: call it when the screen loses its focus. When the app goes to the
   * background this happens automatically.
   */
  hideAll(): void;
  /** Starts views of the visible items: call it when the screen has its focus again. */
  showAgain(): void;
  /**
   * Ends all views and removes the app listener: call it when the list unmounts, and before `close()` of the impressions.
   * `showAgain()` takes it back, since StrictMode and Fast Refresh run the effects of a mounted list again.
   */
  stop(): void;
}

/**
 * Reports the items of a list by the rule. The list reports when `fractionMin` of an item is visible, and `listViews`
 * measures for how long. Items without an id from `postIdOf`, and headers and footers of sections, are no posts.
 */
export function listViews<Item>(
  impressions: Parameters<typeof createViewReporter>[0],
  options: ViewRule & {
    readonly appState: AppStateLike;
    readonly postIdOf: (item: Item) => string | null | undefined;
    readonly detailsOf?: (item: Item) => ReportedDetails;
  },
): ListViews<Item> {
  const { appState, postIdOf, detailsOf, ...rule } = options;
  const reporter = createViewReporter(impressions, commonPlatform(), rule);
  /** By the kind of viewability config and the list's key. */
  const visible = new Map<string, { readonly postId: string; readonly details: ReportedDetails }>();
  let inFront = true;
  let appActive = true;
  let stopListening: (() => void) | undefined;
  const percent = (rule.fractionMin ?? 0.5) * 100;
  // Not the rule's second: React Native's helper (0.88.1; not 0.79) restarts the timer of an item whenever another one comes
  // or goes, so that a scrolling list would report nothing. The tracker measures the duration.
  const minimumViewTime = 0;

  function begin(): void {
    if (!inFront || !appActive) return;
    for (const [element, { postId, details }] of visible) reporter.visible(postId, 1, details, element);
  }
  function end(element: string): void {
    const postId = visible.get(element)?.postId;
    visible.delete(element);
    if (postId !== undefined) reporter.visible(postId, 0, {}, element);
  }
  function take(way: string, token: ViewToken<Item>): void {
    const postId = isOfSection(token) ? null : idOf(token.item);
    const element = `${way} ${token.key ?? postId}`;
    const { item, index, isViewable } = token;
    if (!isViewable || postId === null) {
      end(element);
      return;
    }
    const post = { postId, details: { ...(index == null ? {} : { position: index }), ...detailsOf?.(item) } };
    // The same key may have belonged to another post.
    if (visible.get(element)?.postId !== postId) end(element);
    visible.set(element, post);
    // A hidden list still reports new items: begin() starts their views when the list is in front again.
    if (appActive && inFront) reporter.visible(postId, 1, post.details, element);
  }
  /** `viewed` reports an id that is no string. */
  function idOf(item: Item): string | null {
    let id: string | null | undefined;
    attempt(() => {
      id = postIdOf(item);
    });
    return id ?? null;
  }
  /** No error of the app's callbacks may reach the list. */
  const callback =
    (way: string): OnViewableItemsChanged<Item> =>
    ({ changed }) => {
      for (const token of changed) attempt(() => take(way, token));
    };
  const viewabilityConfig = { itemVisiblePercentThreshold: percent, minimumViewTime };

  function listen(): void {
    if (stopListening !== undefined) return;
    appActive = true;
    attempt(() => {
      const subscription = appState.addEventListener("change", (state) => {
        appActive = state === "active";
        // The list reports nothing when the app comes back: its last visible items still are.
        if (appActive) begin();
        else reporter.hideAll();
      });
      stopListening = () => subscription.remove();
    });
  }
  function hideAll(): void {
    inFront = false;
    reporter.hideAll();
  }

  listen();

  return {
    viewabilityConfigCallbackPairs: [
      { viewabilityConfig, onViewableItemsChanged: callback("item") },
      {
        viewabilityConfig: { viewAreaCoveragePercentThreshold: percent, minimumViewTime },
        onViewableItemsChanged: callback("area"),
      },
    ],
    viewabilityConfig,
    onViewableItemsChanged: callback("item"),
    itemsChanged(items) {
      const left = new Set(items.map(idOf));
      for (const [element, { postId }] of [...visible]) if (!left.has(postId)) end(element);
    },
    hideAll,
    showAgain() {
      inFront = true;
      listen();
      begin();
    },
    stop() {
      hideAll();
      if (stopListening !== undefined) attempt(stopListening);
      stopListening = undefined;
    },
  };
}

/** Whether this is a header or a footer of a section: it has no index, or, in other lists, the section as its item. */
function isOfSection({ item, key = "", index, section }: ViewToken<unknown>): boolean {
  if (section !== undefined) return index == null;
  return /:(header|footer)$/.test(key) && Array.isArray((item as { data?: unknown } | null)?.data);
}
