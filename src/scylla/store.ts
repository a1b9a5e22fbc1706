import { createExpiryClock } from "../domain/guarded-clock.ts";
import { SLICE_ROWS_MAX } from "../domain/limits.ts";
import type { Clock } from "../domain/time.ts";
import type { WalkRequest } from "../domain/walk.ts";
import { StoreUnavailableError } from "../ports/errors.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import type { Log } from "../telemetry/logger.ts";
import type { Database } from "./database.ts";
import { createErasedUsers, ERASURES_REFRESH_MS } from "./erased-users.ts";
import { eraseUser } from "./erasing.ts";
import { createClaims, createErasureRecords } from "./erasure-records.ts";
import { messageOf } from "./errors.ts";
import { createPackDensity } from "./packs/post-views.ts";
import { scanViews } from "./scan.ts";
import { createUserHashes } from "./user-hashes.ts";
import { postViewersPage } from "./walks/post-viewers.ts";
import { seenAmong } from "./walks/seen-among.ts";
import { seenPostsPage } from "./walks/seen-posts.ts";
import { createHistoryWrites } from "./writes/history-writes.ts";
import { createViewerWrites } from "./writes/viewer-writes.ts";

/** No erasure record has this id: looking for it asks a quorum of replicas for next to nothing. */
const PROBE_ID = "-";

/** The store over a database that is connected, or will be: each call is the statements of one part of this folder. */
export function createScyllaStore(options: {
  readonly database: Database;
  readonly retentionMs: number;
  readonly sliceRowsMax?: number | undefined;
  readonly erasuresRefreshMs?: number | undefined;
  readonly clock: Clock;
  readonly log: Log;
}): ImpressionStore {
  const {
    database,
    retentionMs,
    clock,
    log,
    sliceRowsMax = SLICE_ROWS_MAX,
    erasuresRefreshMs = ERASURES_REFRESH_MS,
  } = options;
  const userHashes = createUserHashes(database);
  const erasedUsers = createErasedUsers({
    database,
    userHashes,
    retentionMs,
    clock,
    refreshIntervalMs: erasuresRefreshMs,
    log,
  });
  const erasureRecords = createErasureRecords(database, userHashes);
  const claims = createClaims(database);
  // What is left of a retention is written for good.
  const writes = { database, erasedUsers, retentionMs, clock: createExpiryClock(clock) };
  const writeViewers = createViewerWrites({ ...writes, sliceRowsMax });
  const writeHistory = createHistoryWrites(writes);
  const density = createPackDensity();
  let closed = false;

  /** A view at or before this instant is over, whether or not its TTL has run out yet. */
  const expiredThroughMs = () => clock.nowMs() - retentionMs;
  const withoutExpired = (request: WalkRequest): WalkRequest => ({
    ...request,
    window: { ...request.window, sinceMs: Math.max(request.window.sinceMs, expiredThroughMs() + 1) },
  });

  return {
    writeViewers,
    writeHistory,
    seenPosts: (request, signal) => seenPostsPage(database.readsUntil(signal), withoutExpired(request)),
    postViewers: (request, signal) =>
      postViewersPage(database.readsUntil(signal), withoutExpired(request), { density }),
    seenAmong: (userId, postIds, rule, signal) =>
      seenAmong(database.readsUntil(signal), userId, postIds, {
        ...rule,
        sinceMs: Math.max(rule.sinceMs, expiredThroughMs() + 1),
      }),
    scan: (after, limit) => scanViews(database, after, limit, expiredThroughMs()),
    eraseUser: (userId, throughUs, onCounted) =>
      eraseUser(database, erasedUsers, { userId, throughUs, clock }, onCounted),
    async erasedThrough(userIds) {
      await erasedUsers.ready();
      const throughs = userIds.map((userId) => [userId, erasedUsers.throughUs(userId)] as const);
      return new Map(throughs.filter(([, throughUs]) => throughUs > 0));
    },
    saveErasure: erasureRecords.save,
    findErasure: erasureRecords.find,
    unfinishedErasures: erasureRecords.unfinished,
    // The nodes have the files.
    async scrub() {
      if (closed) throw new StoreUnavailableError("the store is closed");
    },
    claimErasure: claims.claim,
    releaseErasure: claims.release,
    async health() {
      try {
        await database.read("findReceipt", [PROBE_ID], 1);
        return { healthy: true };
      } catch (error) {
        return { healthy: false, reason: messageOf(error) };
      }
    },
    close() {
      closed = true;
      erasedUsers.close();
      return database.close();
    },
  };
}
