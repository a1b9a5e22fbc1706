import DataLoader from "dataloader";
import { chunksOf } from "../common/chunks.ts";
import { createInFlightLimit } from "../common/in-flight-limit.ts";
import type { Erasure } from "../domain/erasure.ts";
import { CANDIDATES_MAX } from "../domain/limits.ts";
import type { PostViewerRow, SeenPostRow, SeenRule, WalkPage, WalkRequest } from "../domain/walk.ts";
import type { Health } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import { healthWithin } from "./health-within.ts";

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

/**
 * Every read that one request makes of the store: equal reads happen once, few happen at a time, and none begins after
 * the request's signal was aborted. What waits for one then rejects at once, with the signal's reason.
 */
export interface Loaders {
  readonly seenPosts: DataLoader<WalkRequest, WalkPage<SeenPostRow>, string>;
  readonly postViewers: DataLoader<WalkRequest, WalkPage<PostViewerRow>, string>;
  /** The posts that the user has seen, among at least the candidates. */
  readonly seenAmong: DataLoader<SeenAmongRequest, ReadonlySet<string>, string>;
  readonly erasure: DataLoader<string, Erasure | null>;
  /** Neither DONE nor FAILED, oldest first. */
  unfinishedErasures(): Promise<Erasure[]>;
  /** Never rejects. */
  storeHealth(): Promise<Health>;
}

export function createLoaders(store: ImpressionStore, signal: AbortSignal): Loaders {
  const limit = createInFlightLimit(STORE_READS_AT_ONCE_MAX);
  const aborted = rejectionOn(signal);
  let health: Promise<Health> | undefined;
  let unfinished: Promise<Erasure[]> | undefined;

  function read<Value>(ask: () => Promise<Value>): Promise<Value> {
    return limit.run(() => {
      signal.throwIfAborted();
      return Promise.race([ask(), aborted]);
    });
  }

  function loader<Key, Value>(ask: (key: Key) => Promise<Value>, textOf: (key: Key) => string) {
    return new DataLoader<Key, Value, string>(
      (keys) => Promise.all(keys.map((key) => read(() => ask(key)).catch(asError))),
      { cacheKeyFn: textOf },
    );
  }

  /** Lists that are asked about the same user by the same rule become one, so that what they share is read once. */
  async function readSeenAmong(
    requests: readonly SeenAmongRequest[],
  ): Promise<(ReadonlySet<string> | Error)[]> {
    const groups = Map.groupBy(requests, questionOf);
    const answers = new Map<string, Promise<ReadonlySet<string> | Error>>();
    for (const [question, group] of groups) answers.set(question, readSeenOf(group).catch(asError));
    return Promise.all(
      requests.map((request) => answers.get(questionOf(request)) ?? new Error("every question is asked")),
    );
  }

  async function readSeenOf(group: readonly SeenAmongRequest[]): Promise<ReadonlySet<string>> {
    const [first, ...others] = group;
    if (first === undefined) return new Set();
    const { userId, rule } = first;
    const postIds =
      others.length === 0
        ? first.candidates.postIds
        : [...new Set(group.flatMap(({ candidates }) => candidates.postIds))];
    const seen = await Promise.all(
      chunksOf(postIds, CANDIDATES_MAX).map((some) =>
        read(() => store.seenAmong(userId, some, rule, signal)),
      ),
    );
    return new Set(seen.flatMap((some) => [...some]));
  }

  return {
    seenPosts: loader((request) => store.seenPosts(request, signal), textOfWalk),
    postViewers: loader((request) => store.postViewers(request, signal), textOfWalk),
    seenAmong: new DataLoader<SeenAmongRequest, ReadonlySet<string>, string>(readSeenAmong, {
      cacheKeyFn: (request) => `${request.candidates.number} ${questionOf(request)}`,
    }),
    erasure: loader((id) => store.findErasure(id), String),
    unfinishedErasures() {
      unfinished ??= read(() => store.unfinishedErasures());
      return unfinished;
    },
    storeHealth() {
      health ??= read(() => healthWithin(store)).catch((error: unknown) => ({
        healthy: false,
        reason: asError(error).message,
      }));
      return health;
    },
  };
}

/** Rejects with the reason when the signal is aborted; callers need not handle it. */
function rejectionOn(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => undefined);
  if (signal.aborted) reject(signal.reason);
  else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  return promise;
}

function textOfWalk({ ownerId, window, after, limit, withViews }: WalkRequest): string {
  const { sinceMs, untilMs } = window;
  return JSON.stringify([ownerId, sinceMs, untilMs, after?.viewedAtMs, after?.id, limit, withViews]);
}

/** What is asked about the candidates. */
function questionOf({ userId, rule }: SeenAmongRequest): string {
  return JSON.stringify([userId, rule.minViews, rule.minDwellMs, rule.sinceMs]);
}

/** A DataLoader wants a failed key as an Error value, so that it does not fail its neighbours. */
function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
