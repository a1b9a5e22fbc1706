import { attempt } from "./bounded.ts";
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
  readonly key?: string;
  readonly index?: number | null;
  readonly isViewable: boolean;
  /** In a SectionList; its headers and footers have no index. */
  readonly section?: unknown;
}

type OnViewableItemsChanged<Item> = (info: { readonly changed: readonly ViewToken<Item>[] }) => void;

/** Props for a list; React Native wants the same objects for as long as the list lives: keep them in a ref or a state. */
export interface ListViews<Item> {
  /**
   * All that a list needs: visible is what half of is on the screen, and what fills half of the screen (a post that is
   * taller than that). Give it alone, without the other two.
   */
  readonly viewabilityConfigCallbackPairs: {
    readonly viewabilityConfig: {
      readonly itemVisiblePercentThreshold?: number;
      readonly viewAreaCoveragePercentThreshold?: number;
      readonly minimumViewTime: number;
    };
    readonly onViewableItemsChanged: OnViewableItemsChanged<Item>;
  }[];
  /** For a list that takes only one: a post that is taller than two screens is never seen by it. */
  readonly viewabilityConfig: {
    readonly itemVisiblePercentThreshold: number;
    readonly minimumViewTime: number;
  };
  readonly onViewableItemsChanged: OnViewableItemsChanged<Item>;
  /** These are the list's items now: ends the views of others. A list that is emptied does not tell of it. */
  itemsChanged(items: readonly Item[]): void;
  /**
   * Ends all views, and nothing counts until `showAgain()`: call it when the screen loses its focus. The app's background
   * does it by itself.
   */
  hideAll(): void;
  /** The screen has its focus again: what is visible, as far as the list has told, counts from now on. */
  showAgain(): void;
  /** Ends all views, and listening to the app: call it when the list goes away. */
  stop(): void;
}

/**
 * Reports the items of a list by the rule: the list itself tells when `fractionMin` of an item is visible, and how long it
 * stayed is measured here. What `postIdOf` has no id for, headers and footers of sections are no posts.
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
  /** By the list's key, for each of the ways in which it tells. */
  const visible = new Map<string, { readonly postId: string; readonly details: ReportedDetails }>();
  let inFront = true;
  let appActive = true;
  let stopListening: () => void = () => undefined;
  const percent = (rule.fractionMin ?? 0.5) * 100;
  // Not the rule's second: React Native's helper (0.88.1; not 0.79) forgets an item's time each time that another one comes
  // or goes, so that a list that moves would report nothing. The tracker measures it.
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
    // Under the same key there may have been another one.
    if (visible.get(element)?.postId !== postId) end(element);
    visible.set(element, post);
    // A list goes on telling of items that come while it is out of sight: begin() counts them when it is back in front.
    if (appActive && inFront) reporter.visible(postId, 1, post.details, element);
  }
  /** Of anything but a string `viewed` tells that it is no id. */
  function idOf(item: Item): string | null {
    let id: string | null | undefined;
    attempt(() => {
      id = postIdOf(item);
    });
    return id ?? null;
  }
  /** Whatever it is about, the list must not hear of it. */
  const callback =
    (way: string): OnViewableItemsChanged<Item> =>
    ({ changed }) => {
      for (const token of changed) attempt(() => take(way, token));
    };
  const viewabilityConfig = { itemVisiblePercentThreshold: percent, minimumViewTime };

  attempt(() => {
    const subscription = appState.addEventListener("change", (state) => {
      appActive = state === "active";
      // The list says nothing when the app comes back: what it last called visible still is.
      if (appActive) begin();
      else reporter.hideAll();
    });
    stopListening = () => subscription.remove();
  });
  function hideAll(): void {
    inFront = false;
    reporter.hideAll();
  }

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
      begin();
    },
    stop() {
      hideAll();
      visible.clear();
      attempt(stopListening);
    },
  };
}

/** A header or a footer of a section: without an index, or, where the list has not put it so, with the section as its item. */
function isOfSection({ item, key = "", index, section }: ViewToken<unknown>): boolean {
  if (section !== undefined) return index == null;
  return /:(header|footer)$/.test(key) && Array.isArray((item as { data?: unknown } | null)?.data);
}
