import type { DatabaseSync } from "node:sqlite";
import type { Erasure, ErasureStatus } from "../domain/erasure.ts";
import type { View } from "../domain/impression.ts";
import { CLOCK_TOLERANCE_MS } from "../domain/limits.ts";
import type { Clock } from "../domain/time.ts";
import type { SeenRule, WalkRequest } from "../domain/walk.ts";
import { StoreRefusedError, StoreUnavailableError } from "../ports/errors.ts";
import type { ImpressionStore, OnStatement, ScanPage, ScanPosition } from "../ports/impression-store.ts";
import { messageOf, withReader } from "./database.ts";
import { createReadTurns } from "./read-turns.ts";
import { createStatementTimer } from "./statement-timer.ts";
import type { ChunkOutcome, StoreWrites, UserPosition, ViewPosition } from "./store-writes.ts";
import { startSweeper } from "./sweeper.ts";
import { createWalks } from "./walks.ts";
import { openWriter, type Writer } from "./writer.ts";

/** Rows that one page of `scan` looks at. */
const SCANNED_ROWS_MAX = 2_000;
/** Candidates of `seenAmong` that one read asks for; other reads come in between. */
const CANDIDATES_PER_READ = 250;
/** Rows that one transaction of an erasure or of the sweeper looks at: the views that wait behind it wait little. */
const CHUNK_ROWS = 500;
/** One chunk a tick, round and round: 40 million rows a day, for next to nothing. */
const SWEEP_INTERVAL_MS = 1_000;
/** About what a view takes in its table and two indexes. */
const VIEW_BYTES = 150;

/** Unfinished erasures looked at; they are worked off one at a time, oldest first. */
const UNFINISHED_MAX = 1_000;

export interface EmbeddedStoreOptions {
  readonly file: string;
  readonly retentionMs: number;
  readonly clock: Clock;
  /** The writer's thread died: nothing can be written in this process any more. */
  readonly onFatal?: (reason: string) => void;
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
  const writer = await openWriter<StoreWrites>(
    { database: "store", file: options.file },
    { unavailable, refused: (reason) => new StoreRefusedError(`embedded store: ${reason}`) },
    options.onFatal,
  );
  return withReader(writer, options.file, (reader) => createEmbeddedStore(options, writer, reader));
}

function unavailable(reason: string): StoreUnavailableError {
  return new StoreUnavailableError(`embedded store: ${reason}`);
}

function createEmbeddedStore(
  { clock, retentionMs, onStatement = () => undefined }: EmbeddedStoreOptions,
  writer: Writer<StoreWrites>,
  reader: DatabaseSync,
): EmbeddedStore {
  const walks = createWalks(reader);
  const membership = createMembership(reader);
  const scanViews = createScan(reader);
  const receipts = createReceipts(reader);
  let closing: Promise<void> | null = null;

  function assertOpen(): void {
    if (closing !== null) throw unavailable("closed");
  }

  const readTurns = createReadTurns(clock);
  const timer = createStatementTimer(clock, onStatement);

  /** Runs a read of some size when its turn has come. */
  async function readInTurn<Result>(
    statement: string,
    query: () => Result,
    signal?: AbortSignal,
  ): Promise<Result> {
    assertOpen();
    await readTurns.next();
    signal?.throwIfAborted();
    return readTurns.timed(() => read(statement, query));
  }

  const write: Writer<StoreWrites>["run"] = (operation, input, weight) =>
    timer.write(operation, () => writer.run(operation, input, weight));

  /** Runs a read; whatever SQLite throws becomes the port's error. */
  function read<Result>(statement: string, query: () => Result): Result {
    assertOpen();
    try {
      return timer.read(statement, query);
    } catch (error) {
      throw unavailable(messageOf(error));
    }
  }

  /** A view at or before this instant is over. */
  const expiredThroughMs = () => clock.nowMs() - retentionMs;

  /** Rows that the sweeper has not reached yet are hidden all the same. */
  const withoutExpired = (request: WalkRequest): WalkRequest => ({
    ...request,
    window: { ...request.window, sinceMs: Math.max(request.window.sinceMs, expiredThroughMs() + 1) },
  });

  async function sweepChunk(after: ViewPosition | null) {
    const input = { expiredThroughMs: expiredThroughMs(), after, rows: CHUNK_ROWS };
    return write("sweepChunk", input, { rows: CHUNK_ROWS, bytes: 0 });
  }

  let sweptThrough: ViewPosition | null = null;
  const sweeper = startSweeper(async () => {
    const { next } = await sweepChunk(sweptThrough);
    sweptThrough = next;
    if (next !== null) return;
    // Whatever was received up to here and may still be written has expired by now, so the marks stop nothing more.
    const throughReceivedAtUs = (expiredThroughMs() - CLOCK_TOLERANCE_MS) * 1_000;
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
        { userId, views, expiredThroughMs: expiredThroughMs() },
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
      for (let start = 0; start < postIds.length; start += CANDIDATES_PER_READ) {
        const candidates = postIds.slice(start, start + CANDIDATES_PER_READ);
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
      await onCounted?.(await readInTurn("countViews", () => receipts.viewsOf(userId, throughReceivedAtUs)));
      // In chunks, so that the views of others wait for a part of a long history only. A crash in between leaves the
      // mark and some rows; the erasure is repeated, and finds what is left.
      let rowsDeleted = 0;
      let after: UserPosition | null = null;
      do {
        const chunk: ChunkOutcome<UserPosition> = await write(
          "eraseChunk",
          { userId, throughReceivedAtUs, after, rows: CHUNK_ROWS },
          { rows: CHUNK_ROWS, bytes: 0 },
        );
        rowsDeleted += chunk.rowsDeleted;
        after = chunk.next;
      } while (after !== null);
      return { rowsDeleted };
    },

    async saveErasure(erasure) {
      assertOpen();
      await write("saveErasure", erasure, { rows: 1, bytes: 0 });
    },

    async findErasure(id) {
      return read("findErasure", () => receipts.find(id));
    },

    async unfinishedErasures() {
      return read("unfinishedErasures", () => receipts.unfinished());
    },

    async health() {
      if (closing !== null) return { healthy: false, reason: "closed" };
      try {
        read("findErasure", () => receipts.find(""));
      } catch (error) {
        return { healthy: false, reason: messageOf(error) };
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

/** Which of the posts the user has seen by the rule: one statement, so that the candidates cross into SQLite once. */
function createMembership(reader: DatabaseSync) {
  const seen = reader.prepare(`
    SELECT candidate.value AS post_id FROM json_each(:postIds) AS candidate
    WHERE (
      SELECT count(*) FROM (
        SELECT 1 FROM views
        WHERE user_id = :userId AND post_id = candidate.value AND viewed_at_ms >= :sinceMs
          AND (:minDwellMs = 0 OR dwell_ms >= :minDwellMs)
        LIMIT :minViews
      )
    ) >= :minViews`);
  return (
    userId: string,
    postIds: readonly string[],
    { minViews, minDwellMs, sinceMs }: SeenRule,
  ): Set<string> => {
    const rows = seen.all({ userId, postIds: JSON.stringify(postIds), minViews, minDwellMs, sinceMs });
    return new Set(rows.map((row) => String(row.post_id)));
  };
}

function createScan(reader: DatabaseSync) {
  const columns = "user_id, post_id, viewed_at_ms, received_at_us, surface, position, dwell_ms";
  const order = "ORDER BY user_id, post_id, viewed_at_ms LIMIT :limit";
  const fromTop = reader.prepare(`SELECT ${columns} FROM views ${order}`);
  const fromPosition = reader.prepare(`
    SELECT ${columns} FROM views WHERE (user_id, post_id, viewed_at_ms) > (:userId, :postId, :viewedAtMs) ${order}`);

  return (after: ScanPosition | null, limit: number, expiredThroughMs: number): ScanPage => {
    const [userId, postId, viewedAtMs] =
      after === null ? ["", "", 0] : (JSON.parse(after) as [string, string, number]);
    const rows = { limit: SCANNED_ROWS_MAX + 1 };
    const found =
      after === null ? fromTop.iterate(rows) : fromPosition.iterate({ ...rows, userId, postId, viewedAtMs });
    const views: View[] = [];
    let scanned = 0;
    let last: ScanPosition | null = after;
    for (const row of found) {
      const view = viewOf(row);
      const expired = view.viewedAtMs <= expiredThroughMs;
      if (scanned === SCANNED_ROWS_MAX || (!expired && views.length === limit)) return { views, next: last };
      if (!expired) views.push(view);
      scanned++;
      last = JSON.stringify([view.userId, view.postId, view.viewedAtMs]);
    }
    return { views, next: null };
  };
}

function createReceipts(reader: DatabaseSync) {
  const columns = "id, user_id, requested_at_us, status, rows_deleted, finished_at_ms";
  const find = reader.prepare(`SELECT ${columns} FROM erasures WHERE id = ?`);
  const unfinished = reader.prepare(`
    SELECT ${columns} FROM erasures WHERE status NOT IN ('DONE', 'FAILED')
    ORDER BY requested_at_us, id LIMIT ${UNFINISHED_MAX}`);
  const views = reader.prepare(
    "SELECT count(*) AS views FROM views WHERE user_id = ? AND received_at_us <= ?",
  );
  return {
    viewsOf: (userId: string, throughReceivedAtUs: number): number =>
      Number(views.get(userId, throughReceivedAtUs)?.views),
    find(id: string): Erasure | null {
      const row = find.get(id);
      return row === undefined ? null : erasureOf(row);
    },
    unfinished: (): Erasure[] => unfinished.all().map(erasureOf),
  };
}

type Row = Readonly<Record<string, unknown>>;

function viewOf(row: Row): View {
  return {
    userId: String(row.user_id),
    postId: String(row.post_id),
    viewedAtMs: Number(row.viewed_at_ms),
    receivedAtUs: Number(row.received_at_us),
    surface: row.surface as string | null,
    position: row.position as number | null,
    dwellMs: row.dwell_ms as number | null,
  };
}

function erasureOf(row: Row): Erasure {
  return {
    id: String(row.id),
    userId: String(row.user_id),
    requestedAtUs: Number(row.requested_at_us),
    status: row.status as ErasureStatus,
    rowsDeleted: Number(row.rows_deleted),
    finishedAtMs: row.finished_at_ms === null ? null : Number(row.finished_at_ms),
  };
}
