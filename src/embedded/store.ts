import type { DatabaseSync } from "node:sqlite";
import { chunksOf } from "../common/chunks.ts";
import { erasureReach } from "../domain/erasure.ts";
import { createExpiryClock } from "../domain/guarded-clock.ts";
import { CLOCK_TOLERANCE_MS, RETENTION_MS_MAX } from "../domain/limits.ts";
import type { Clock } from "../domain/time.ts";
import type { WalkRequest } from "../domain/walk.ts";
import { StoreRefusedError, StoreUnavailableError } from "../ports/errors.ts";
import type { ImpressionStore, OnStatement } from "../ports/impression-store.ts";
import { createDamageGuard, type DamageGuard } from "./damage.ts";
import { messageOf, withReader } from "./database.ts";
import { createClaims, createErasureRecords, type ViewCount } from "./erasure-records.ts";
import { candidatesPerRead, createMembership } from "./membership.ts";
import type { ReadTurns } from "./read-turns.ts";
import { createScan } from "./scan.ts";
import { createStatementTimer } from "./statement-timer.ts";
import type { ChunkOutcome, StoreWrites, UserPosition, ViewPosition } from "./store-writes.ts";
import { startSweeper } from "./sweeper.ts";
import { createWalks } from "./walks.ts";
import { openWriter, type Writer } from "./writer/writer.ts";

/** Rows that one transaction of an erasure or of the sweeper looks at: the views that wait behind it wait little. */
const CHUNK_ROWS = 500;
/** One chunk a tick, round and round: 40 million rows a day, for next to nothing. */
const SWEEP_INTERVAL_MS = 1_000;
/** About what a view takes in its table and two indexes. */
const VIEW_BYTES = 150;

export interface EmbeddedStoreOptions {
  readonly file: string;
  readonly retentionMs: number;
  readonly clock: Clock;
  /** One for all reads of the process. */
  readonly readTurns: ReadTurns;
  /** The writer's thread died: nothing can be written in this process any more. */
  readonly onFatal?: (reason: string) => void;
  /** See DamageGuard. */
  readonly onDamage?: ((reason: string) => void) | undefined;
  /** Told of each read, and of each write with its wait for a transaction. */
  readonly onStatement?: OnStatement | undefined;
}

export interface EmbeddedStore extends ImpressionStore {
  /** Deletes every view whose retention is over, in chunks; otherwise a timer does it, a chunk at a time. */
  sweep(): Promise<{ readonly rowsDeleted: number }>;
}

/**
 * The store in one SQLite file. Writes go to the writer's thread; reads run here, on a connection of their own, since
 * the longest of them is bounded and takes less than handing it to a thread and back would.
 *
 * @param options.file a file that `prepareDatabase` has brought up to date.
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<EmbeddedStore> {
  const guard = createDamageGuard(options.file, options.onDamage);
  const writer = await openWriter<StoreWrites>(
    { database: "store", file: options.file },
    { unavailable, refused: (reason) => new StoreRefusedError(`embedded store: ${reason}`) },
    guard,
    options.onFatal,
  );
  return withReader(writer, options.file, (reader) => createEmbeddedStore(options, guard, writer, reader));
}

function unavailable(reason: string): StoreUnavailableError {
  return new StoreUnavailableError(`embedded store: ${reason}`);
}

function createEmbeddedStore(
  { clock, retentionMs, readTurns, onStatement = () => undefined }: EmbeddedStoreOptions,
  guard: DamageGuard,
  writer: Writer<StoreWrites>,
  reader: DatabaseSync,
): EmbeddedStore {
  const walks = createWalks(reader);
  const membership = createMembership(reader);
  const scanViews = createScan(reader);
  const erasureRecords = createErasureRecords(reader);
  const claims = createClaims(clock);
  let closing: Promise<void> | null = null;

  /** @throws the port's error where the file is closed or damaged. */
  function assertOpen(): void {
    const reason = closing === null ? guard.reason() : "closed";
    if (reason !== null) throw unavailable(reason);
  }

  const timer = createStatementTimer(clock, onStatement);

  /** Runs a read of some size when its turn has come. */
  async function readInTurn<Result>(
    statement: string,
    query: () => Result,
    signal?: AbortSignal,
  ): Promise<Result> {
    assertOpen();
    return readTurns.run(() => read(statement, query), { unavailable, signal });
  }

  const write: Writer<StoreWrites>["run"] = (operation, input, weight) =>
    timer.write(operation, () => writer.run(operation, input, weight));

  /** Runs a read; whatever SQLite throws becomes the port's error. */
  function read<Result>(statement: string, query: () => Result): Result {
    assertOpen();
    try {
      return timer.read(statement, query);
    } catch (error) {
      guard.notice(error);
      throw unavailable(messageOf(error));
    }
  }

  /** How many views an erasure will find, in pieces: a user may have a million. */
  async function countViews(userId: string, throughUs: number): Promise<number> {
    let views = 0;
    let after: UserPosition | null = null;
    do {
      const piece: ViewCount = await readInTurn("countViews", () =>
        erasureRecords.countViews(userId, erasureReach(throughUs, clock.nowMs()), after),
      );
      views += piece.views;
      after = piece.next;
    } while (after !== null);
    return views;
  }

  /** A view at or before this instant is over. */
  const expiredThroughMs = () => clock.nowMs() - retentionMs;

  /** Rows that the sweeper has not reached yet are hidden all the same. */
  const withoutExpired = (request: WalkRequest): WalkRequest => ({
    ...request,
    window: { ...request.window, sinceMs: Math.max(request.window.sinceMs, expiredThroughMs() + 1) },
  });

  const expiryClock = createExpiryClock(clock);
  /** The same for what is deleted, or not stored: a clock that jumps takes nothing away. */
  const overThroughMs = () => expiryClock.nowMs() - retentionMs;

  async function sweepChunk(after: ViewPosition | null) {
    const input = { expiredThroughMs: overThroughMs(), after, rows: CHUNK_ROWS };
    return write("sweepChunk", input, { rows: CHUNK_ROWS, bytes: 0 });
  }

  let sweptThrough: ViewPosition | null = null;
  const sweeper = startSweeper(async () => {
    if (!expiryClock.isSettled()) return;
    const { next } = await sweepChunk(sweptThrough);
    sweptThrough = next;
    if (next !== null) return;
    // Whatever was received up to here is over under every retention that may be set, so the marks stop nothing more.
    const throughReceivedAtUs = (expiryClock.nowMs() - RETENTION_MS_MAX - CLOCK_TOLERANCE_MS) * 1_000;
    await write("forgetErased", { throughReceivedAtUs }, { rows: 1, bytes: 0 });
  }, SWEEP_INTERVAL_MS);

  return {
    async writeViewers() {
      // Nothing to do: a post's viewers are an index of the rows that `writeHistory` inserts, so both steps of a view
      // are one insert here, and a view is never half written.
      assertOpen();
    },

    async writeHistory(userId, views) {
      assertOpen();
      if (views.length === 0) return;
      await write(
        "writeHistory",
        { userId, views, expiredThroughMs: overThroughMs() },
        { rows: views.length, bytes: views.length * VIEW_BYTES },
      );
    },

    async seenPosts(request, signal) {
      return readInTurn("seenPosts", () => walks.seenPosts(withoutExpired(request)), signal);
    },

    async postViewers(request, signal) {
      return readInTurn("postViewers", () => walks.postViewers(withoutExpired(request)), signal);
    },

    async seenAmong(userId, postIds, rule, signal) {
      const sinceMs = Math.max(rule.sinceMs, expiredThroughMs() + 1);
      const seen = new Set<string>();
      for (const candidates of chunksOf(postIds, candidatesPerRead(rule))) {
        const found = await readInTurn(
          "seenAmong",
          () => membership(userId, candidates, { ...rule, sinceMs }),
          signal,
        );
        for (const postId of found) seen.add(postId);
      }
      return seen;
    },

    async scan(after, limit) {
      return readInTurn("scan", () => scanViews(after, limit, expiredThroughMs()));
    },

    async eraseUser(userId, throughReceivedAtUs, onCounted) {
      assertOpen();
      const one = { rows: 1, bytes: 0 };
      await write("markErased", { userId, throughReceivedAtUs }, one);
      await onCounted?.(await countViews(userId, throughReceivedAtUs));
      // In chunks, so that the views of others wait for a part of a long history only. A crash in between leaves the
      // mark and some rows; the erasure is repeated, and finds what is left.
      let rowsDeleted = 0;
      let after: UserPosition | null = null;
      do {
        // The user goes on meanwhile: whatever the writer holds before this chunk was received before now.
        const reach = erasureReach(throughReceivedAtUs, clock.nowMs());
        const chunk: ChunkOutcome<UserPosition> = await write(
          "eraseChunk",
          { userId, reach, after, rows: CHUNK_ROWS },
          { rows: CHUNK_ROWS, bytes: 0 },
        );
        rowsDeleted += chunk.rowsDeleted;
        after = chunk.next;
      } while (after !== null);
      return { rowsDeleted };
    },

    async erasedThrough(userIds) {
      return read("erasedThrough", () => erasureRecords.erasedThrough(userIds));
    },

    async saveErasure(erasure) {
      assertOpen();
      await write("saveErasure", erasure, { rows: 1, bytes: 0 });
    },

    async findErasure(id) {
      return read("findErasure", () => erasureRecords.find(id));
    },

    async unfinishedErasures() {
      return read("unfinishedErasures", () => erasureRecords.unfinished());
    },

    async scrub() {
      assertOpen();
      await writer.scrub();
    },

    async claimErasure(id, holder, leaseMs) {
      assertOpen();
      return claims.claim(id, holder, leaseMs);
    },

    async releaseErasure(id, holder) {
      assertOpen();
      claims.release(id, holder);
    },

    async health() {
      if (closing !== null) return { healthy: false, reason: "closed" };
      try {
        read("findErasure", () => erasureRecords.find(""));
      } catch (error) {
        if (guard.reason() === null) return { healthy: false, reason: messageOf(error) };
      }
      return writer.health();
    },

    async sweep() {
      let rowsDeleted = 0;
      let after: ViewPosition | null = null;
      do {
        const chunk = await sweepChunk(after);
        rowsDeleted += chunk.rowsDeleted;
        after = chunk.next;
      } while (after !== null);
      return { rowsDeleted };
    },

    close() {
      closing ??= (async () => {
        await sweeper.stop();
        reader.close();
        // Last, so that this close brings the log into the file: a closed database is one file.
        await writer.close();
      })();
      return closing;
    },
  };
}
