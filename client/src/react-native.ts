import { type Fetch, fetchPost } from "./fetch-post.ts";
import { createImpressionsOn, type Impressions } from "./impressions.ts";
import { commonPlatform, memoryStorage, processLocks } from "./local.ts";
import type { CoreOptions } from "./options.ts";
import type { ImpressionStorage, LifecycleListener } from "./platform.ts";
import { createViewReporter, type ReportedDetails, type ViewRule } from "./viewability.ts";

export * from "./index.ts";

/** `AppState` of `react-native`; the app passes it in, so that the SDK depends on nothing. */
export interface AppStateLike {
  addEventListener(type: "change", listener: (state: string) => void): { remove(): void };
}

/** `AsyncStorage` of `@react-native-async-storage/async-storage`, or anything alike. */
export interface AsyncStorageLike {
  getAllKeys(): Promise<readonly string[]>;
  getItem(key: string): Promise<string | null>;
  setItem(key: string, value: string): Promise<void>;
  removeItem(key: string): Promise<void>;
}

/** `NetInfo` of `@react-native-community/netinfo`, or anything alike. */
export interface NetInfoLike {
  addEventListener(listener: (state: { readonly isConnected: boolean | null }) => void): () => void;
}

export type ReactNativeOptions = CoreOptions & {
  /** The service's GraphQL address, such as `https://api.example.com/graphql`. */
  readonly endpoint: string;
  readonly appState: AppStateLike;
  /** Where views wait: `asyncStorage(AsyncStorage)`. Default: memory, and a killed app forgets what it had not sent. */
  readonly storage?: ImpressionStorage;
  /** Without it every attempt is made, and fails where there is no network. */
  readonly netInfo?: NetInfoLike;
  /** Default: React Native's. */
  readonly fetch?: Fetch;
};

/** Just under the server's 256 KiB. */
const BODY_BYTES_MAX = 240 * 1_024;

/** Records what the user of this app sees. */
export function createImpressions(options: ReactNativeOptions): Impressions {
  const { endpoint, appState, netInfo, storage = memoryStorage(), fetch = globalThis.fetch } = options;
  let connected = true;

  function listen({ background, awake }: LifecycleListener): () => void {
    // `inactive` (iOS: a call, the app switcher) is the last state that an app sees before it is swiped away.
    // A moment later, so that lists that end their views at the same event (`listViews`) have done so.
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

/** AsyncStorage as a storage of ours. */
export function asyncStorage(storage: AsyncStorageLike): ImpressionStorage {
  return {
    keys: () => storage.getAllKeys(),
    get: (key) => storage.getItem(key),
    set: (key, value) => storage.setItem(key, value),
    remove: (key) => storage.removeItem(key),
  };
}

/** What FlatList, SectionList and FlashList tell of their items. */
export interface ViewToken<Item> {
  readonly item: Item;
  readonly index?: number | null;
  readonly isViewable: boolean;
}

/** Props for a list; React Native wants the same objects for as long as the list lives: keep them in a ref or a state. */
export interface ListViews<Item> {
  readonly viewabilityConfig: {
    readonly itemVisiblePercentThreshold: number;
    readonly minimumViewTime: number;
  };
  readonly onViewableItemsChanged: (info: { readonly changed: readonly ViewToken<Item>[] }) => void;
  /** Ends all views: call it when the screen loses its focus. The app's background does it by itself. */
  hideAll(): void;
  /** Ends all views, and listening to the app: call it when the list goes away. */
  stop(): void;
}

/**
 * Reports the items of a list by the rule: the list itself tells when `fractionMin` of an item is visible, and how long it
 * stayed is measured here.
 */
export function listViews<Item>(
  impressions: Parameters<typeof createViewReporter>[0],
  options: ViewRule & {
    readonly appState: AppStateLike;
    readonly postIdOf: (item: Item) => string;
    readonly detailsOf?: (item: Item) => ReportedDetails;
  },
): ListViews<Item> {
  const { appState, postIdOf, detailsOf, ...rule } = options;
  const reporter = createViewReporter(impressions, commonPlatform(), rule);
  const visible = new Map<string, ReportedDetails>();
  const subscription = appState.addEventListener("change", (state) => {
    if (state !== "active") reporter.hideAll();
    // The list says nothing when the app comes back: what it last called visible still is.
    else for (const [postId, details] of visible) reporter.visible(postId, 1, details);
  });
  function hideAll(): void {
    visible.clear();
    reporter.hideAll();
  }

  return {
    viewabilityConfig: { itemVisiblePercentThreshold: (rule.fractionMin ?? 0.5) * 100, minimumViewTime: 0 },
    onViewableItemsChanged({ changed }) {
      for (const { item, index, isViewable } of changed) {
        const postId = postIdOf(item);
        const details = { ...(index == null ? {} : { position: index }), ...detailsOf?.(item) };
        if (isViewable) visible.set(postId, details);
        else visible.delete(postId);
        reporter.visible(postId, isViewable ? 1 : 0, details);
      }
    },
    hideAll,
    stop() {
      hideAll();
      subscription.remove();
    },
  };
}
