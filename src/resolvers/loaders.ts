import DataLoader from "dataloader";
import type { PostViewerRow, SeenPostRow, SeenRule, WalkPage, WalkRequest } from "../domain/walk.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import { limitConcurrency } from "./limit-concurrency.ts";

/** Store reads of one request that run at once; the others wait, so that one large query leaves room for the rest. */
const STORE_READS_AT_ONCE_MAX = 16;

export interface SeenAmongRequest {
  readonly userId: string;
  readonly candidates: CandidateList;
  readonly rule: SeenRule;
}

/** Candidates without duplicates. Equal lists of one request are one object; see resolvers/candidates.ts. */
export interface CandidateList {
  readonly postIds: readonly string[];
  /** Tells the lists of one request apart. */
  readonly number: number;
}

/** The store's reads for one request: equal reads happen once, and few happen at a time. */
export interface Loaders {
  readonly seenPosts: DataLoader<WalkRequest, WalkPage<SeenPostRow>, string>;
  readonly postViewers: DataLoader<WalkRequest, WalkPage<PostViewerRow>, string>;
  readonly seenAmong: DataLoader<SeenAmongRequest, ReadonlySet<string>, string>;
}

export function createLoaders(store: ImpressionStore): Loaders {
  const limit = limitConcurrency(STORE_READS_AT_ONCE_MAX);

  function loader<Key, Value>(read: (key: Key) => Promise<Value>, textOf: (key: Key) => string) {
    return new DataLoader<Key, Value, string>(
      (keys) => Promise.all(keys.map((key) => limit(() => read(key)).catch(asError))),
      { cacheKeyFn: textOf },
    );
  }

  return {
    seenPosts: loader((request) => store.seenPosts(request), textOfWalk),
    postViewers: loader((request) => store.postViewers(request), textOfWalk),
    seenAmong: loader(
      ({ userId, candidates, rule }) => store.seenAmong(userId, candidates.postIds, rule),
      ({ userId, candidates, rule }) =>
        JSON.stringify([userId, candidates.number, rule.minViews, rule.minDwellMs, rule.sinceMs]),
    ),
  };
}

function textOfWalk({ ownerId, window, after, limit }: WalkRequest): string {
  return JSON.stringify([ownerId, window.sinceMs, window.untilMs, after?.viewedAtMs, after?.id, limit]);
}

/** A DataLoader wants a failed key as an Error value, so that it does not fail its neighbours. */
function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
