import type { Erasure } from "../domain/erasure.ts";
import type { View } from "../domain/impression.ts";
import type { PostViewerRow, SeenPostRow, SeenRule, WalkPage, WalkRequest } from "../domain/walk.ts";
import type { Health } from "./impression-queue.ts";

/**
 * Where views live until their retention ends.
 *
 * Promises, held by test/contract/store on every adapter:
 * - Writes are idempotent and commutative: repeated, reordered and concurrent writes lead to the same answers. Of two
 *   views with one identity the one with the greater receivedAtUs stays, as a whole.
 * - A view is written in two steps, `writeViewers` and then `writeHistory`; the second is its commit point. Before it,
 *   no read shows the view; once both resolved, every read does, and it is durable.
 * - Ids are ordered by their UTF-8 bytes.
 * - A view whose retention is over is gone from every read, and from the disk in the end.
 * - After `close`, every call rejects with StoreUnavailableError.
 * - A read that is given a signal asks nothing more of the database once that is aborted, and rejects with its reason,
 *   at the latest when what is on its way by then is answered.
 *
 * Every call may throw StoreUnavailableError (transient), every write StoreRefusedError (permanent), every question about a
 * user or a post HistoryTooLongError: the same question with a later `since` may be answered.
 */
export interface ImpressionStore {
  /**
   * First step: enters the views of **one post** among its viewers.
   *
   * @param views at most 100, all of this post.
   */
  writeViewers(postId: string, views: readonly View[], options?: WriteOptions): Promise<void>;

  /**
   * Second step, the commit point: enters the views of **one user** into the user's history. Views received before
   * the user was erased are passed over.
   *
   * @param views at most 100, all of this user.
   */
  writeHistory(userId: string, views: readonly View[], options?: WriteOptions): Promise<void>;

  /** A page of the posts that the user `ownerId` has seen; see domain/walk. */
  seenPosts(request: WalkRequest, signal?: AbortSignal): Promise<WalkPage<SeenPostRow>>;

  /** A page of the users who viewed the post `ownerId`; see domain/walk. */
  postViewers(request: WalkRequest, signal?: AbortSignal): Promise<WalkPage<PostViewerRow>>;

  /** Those of the posts that the user has seen by the rule. @param postIds at most 1,000. */
  seenAmong(
    userId: string,
    postIds: readonly string[],
    rule: SeenRule,
    signal?: AbortSignal,
  ): Promise<ReadonlySet<string>>;

  /**
   * All stored views in the store's own order, for export. A page may hold fewer than `limit`, even none, while `next`
   * is not null.
   *
   * @param after where the page before ended, null at first.
   */
  scan(after: ScanPosition | null, limit: number): Promise<ScanPage>;

  /**
   * Deletes everything of a user that was received up to this instant, and what a clock dated that was ahead of now
   * (`erasureReach`); keeps out what was received before and is still on its way. After a crash the same call goes on.
   *
   * @param onCounted called with the number of views, and awaited, before that can no longer be counted: what a call
   * after a crash finds may be less.
   * @returns how many views this call found and deleted.
   */
  eraseUser(
    userId: string,
    throughReceivedAtUs: number,
    onCounted?: (views: number) => Promise<void>,
  ): Promise<{ readonly rowsDeleted: number }>;

  /**
   * Those of the users who were erased: through which receivedAt, in microseconds, nothing of them is stored. An erasure
   * that another process carries out may be known 10 seconds later.
   */
  erasedThrough(userIds: readonly string[]): Promise<ReadonlyMap<string, number>>;

  /** Writes or replaces an erasure's record. Of one that is DONE the user's hash is kept (`userHash`), and not the id. */
  saveErasure(erasure: Erasure): Promise<void>;
  findErasure(id: string): Promise<Erasure | null>;
  /** Erasures that are neither DONE nor FAILED, oldest first, at most 1,000: what a restart goes on with. */
  unfinishedErasures(): Promise<Erasure[]>;

  /**
   * Sees to it that what was deleted by now stands in no file of this engine any more, as bytes. Where a server has the
   * files it resolves at once: docs/operations.md says what stays there, and for how long.
   *
   * @throws StoreUnavailableError not yet.
   */
  scrub(): Promise<void>;

  /**
   * Claims an erasure for the holder, or renews its claim, for `leaseMs` from now; rounded up to whole
   * seconds on some engines. Of several that ask at once none may get it; then they ask again.
   *
   * @param holder identifies the process.
   * @returns whether it has the claim now: no other holder gets it before it is released or ends.
   */
  claimErasure(id: string, holder: string, leaseMs: number): Promise<boolean>;
  /** Gives a claim up; one of another holder stays. */
  releaseErasure(id: string, holder: string): Promise<void>;

  /** Whether the store can be reached now, and why not; never throws. */
  health(): Promise<Health>;

  /** Releases everything. Repeated calls wait for the first. */
  close(): Promise<void>;
}

export interface WriteOptions {
  /**
   * The write shares no request with writes to other partitions: those would fail with an unhealthy partition. False unless
   * given; an engine that coalesces no writes ignores it.
   */
  readonly uncoalesced?: boolean;
}

/**
 * Told of every statement that a store has run.
 *
 * @param statement its name, out of a short list that each adapter has.
 * @param failed whether it threw; one that was called off by its reader has not failed.
 */
export type OnStatement = (statement: string, durationMs: number, failed: boolean) => void;

/** Opaque to everyone but the adapter; JSON-serializable. */
export type ScanPosition = string;

export interface ScanPage {
  readonly views: readonly View[];
  readonly next: ScanPosition | null;
}
