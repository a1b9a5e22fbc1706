import { onTestFinished } from "vitest";
import type { View } from "../../../src/domain/impression.ts";
import { type Clock, DAY_MS } from "../../../src/domain/time.ts";
import type { ImpressionStore } from "../../../src/ports/impression-store.ts";
import { viewOf } from "../../kit/views.ts";

/** How an adapter binds to the contract. */
export interface StoreContract {
  readonly name: string;
  /** Opens a store that is empty and shares nothing with any other that was opened. */
  open(options: StoreOptions): Promise<OpenedStore>;
}

export interface StoreOptions {
  readonly retentionMs: number;
  /** The system's unless given. */
  readonly clock?: Clock;
}

export interface OpenedStore {
  readonly store: ImpressionStore;
  /** Closes the store and opens what it stored once more, as a restarted process would. */
  reopen(options?: Partial<StoreOptions>): Promise<ImpressionStore>;
  /** Closes it if it is open, and removes everything. */
  dispose(): Promise<void>;
}

const RETENTION_MS = 90 * DAY_MS;

export async function openStore(
  contract: StoreContract,
  options: Partial<StoreOptions> = {},
): Promise<OpenedStore> {
  const opened = await contract.open({ retentionMs: RETENTION_MS, ...options });
  onTestFinished(() => opened.dispose());
  return opened;
}

/** An instant well inside the retention, in whole seconds; tests count from it. */
export function someInstantMs(): number {
  return Math.floor((Date.now() - 10 * DAY_MS) / 1_000) * 1_000;
}

/** Views of one user: of post `p0` as many as the first count says, and so on. */
export function viewsOfPosts(
  counts: readonly number[],
  fields: (post: number, index: number) => Pick<View, "viewedAtMs"> & Partial<View>,
): View[] {
  return counts.flatMap((count, post) =>
    Array.from({ length: count }, (_, index) =>
      viewOf({ userId: "u", postId: `p${post}`, ...fields(post, index) }),
    ),
  );
}

/** Views without an order, for comparing as a set. */
export function sorted(views: readonly View[]): View[] {
  const key = (view: View) => JSON.stringify([view.userId, view.postId, view.viewedAtMs]);
  return [...views].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Every view in the store, page by page. The position goes through JSON, as it does when an export is resumed. */
export async function scanAll(store: ImpressionStore, limit = 100): Promise<View[]> {
  const views: View[] = [];
  let after: string | null = null;
  do {
    const page = await store.scan(after, limit);
    if (page.views.length > limit) throw new Error(`a page of ${limit} held ${page.views.length}`);
    views.push(...page.views);
    after = page.next === null ? null : (JSON.parse(JSON.stringify(page.next)) as string);
  } while (after !== null);
  return views;
}
