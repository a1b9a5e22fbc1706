import type { DatabaseSync } from "node:sqlite";
import type { DeadLetter } from "../domain/dead-letter.ts";
import { DAY_MS, type WallClock } from "../domain/time.ts";
import type { DeadLetterFilter, DeadLetters, StoredDeadLetter } from "../ports/dead-letters.ts";
import { DeadLettersFullError } from "../ports/errors.ts";
import type { DeadLetterRecord, QueueWrites } from "./queue-writes.ts";
import type { Writer } from "./writer/writer.ts";

/** Letters that one page looks at, those that are over included; it may end short of its limit there. */
const SCANNED_LETTERS_MAX = 2_000;
/**
 * Bytes of the dead letters that one page holds, but always one: a dead letter may have some 350 KB. They are parsed on the event
 * loop: 4 MiB took 85 ms of it.
 */
const PAGE_BYTES_MAX = 512 * 1_024;

export interface EmbeddedDeadLettersDeps {
  readonly reader: DatabaseSync;
  readonly writer: Writer<QueueWrites>;
  /** Runs a read and turns what SQLite throws into the port's error. */
  readonly read: <Result>(query: () => Result) => Result;
  /** The same for a read of some size, when its turn has come. */
  readonly readInTurn: <Result>(query: () => Result) => Promise<Result>;
  /** @throws QueueUnavailableError after `close`. */
  readonly assertOpen: () => void;
  readonly clock: WallClock;
  readonly maxBytes: number;
  readonly days: number;
}

/** The dead letters in a table beside the queue's. A dead letter's days count from its arrival here. */
export function createDeadLetters(deps: EmbeddedDeadLettersDeps): DeadLetters {
  const { reader, writer, read, readInTurn, assertOpen, clock, maxBytes } = deps;
  // Not the dead letter itself: SQLite reads that from pages of its own, for what matches only.
  const columns = "sequence, reason, user_id_json, failed_at, added_at, bytes";
  // No condition that an index cannot check: a scan would go past any number of letters in search of one that holds it.
  const newestFirst = "sequence < :before ORDER BY sequence DESC LIMIT :limit";
  const scans = {
    byId: reader.prepare(
      `SELECT ${columns} FROM dead_letters WHERE id IN (SELECT value FROM json_each(:ids)) AND ${newestFirst}`,
    ),
    byUser: reader.prepare(
      `SELECT ${columns} FROM dead_letters WHERE user_id_json = :user AND ${newestFirst}`,
    ),
    byReason: reader.prepare(`SELECT ${columns} FROM dead_letters WHERE reason = :reason AND ${newestFirst}`),
    all: reader.prepare(`SELECT ${columns} FROM dead_letters WHERE ${newestFirst}`),
  };
  const letterText = reader.prepare("SELECT letter FROM dead_letters WHERE sequence = ?");
  const totals = reader.prepare("SELECT items FROM totals WHERE name = 'dead_letters'");

  /** Letters that arrived at or before this instant are over; the sweeper may not have reached them. */
  const expiredThroughMs = () => clock.nowMs() - deps.days * DAY_MS;

  /** The rows below `before` by the narrowest index that the filter allows. */
  function scan(filter: DeadLetterFilter, before: number) {
    const range = { before, limit: SCANNED_LETTERS_MAX + 1 };
    if (filter.ids != null) return scans.byId.iterate({ ...range, ids: JSON.stringify(filter.ids) });
    if (filter.userId != null) return scans.byUser.iterate({ ...range, user: JSON.stringify(filter.userId) });
    if (filter.reason != null) return scans.byReason.iterate({ ...range, reason: filter.reason });
    return scans.all.iterate(range);
  }

  return {
    async add(letters) {
      assertOpen();
      if (letters.length === 0) return;
      const addedAtMs = clock.nowMs();
      const records = letters.map((letter) => recordOf(letter, addedAtMs));
      const weight = { rows: records.length, bytes: records.reduce((sum, { bytes }) => sum + bytes, 0) };
      const outcome = await writer.run("addDeadLetters", { letters: records, limitBytes: maxBytes }, weight);
      if (outcome === "full")
        throw new DeadLettersFullError(`embedded dead letters: the limit is ${maxBytes} bytes`);
    },

    async page({ filter, before, limit, includesExpired = false }) {
      assertOpen();
      return readInTurn(() => {
        const deadLetters: StoredDeadLetter[] = [];
        const expiredMs = includesExpired ? Number.NEGATIVE_INFINITY : expiredThroughMs();
        let bytes = 0;
        let scanned = 0;
        let last: number | null = null;
        for (const row of scan(filter, before ?? Number.MAX_SAFE_INTEGER)) {
          // One row more than may be emitted or scanned is looked at, only to know that there is one.
          if (deadLetters.length === limit || scanned === SCANNED_LETTERS_MAX)
            return { deadLetters, next: last };
          const isMatch = Number(row.added_at) > expiredMs && matches(filter, row);
          if (isMatch) bytes += Number(row.bytes);
          if (deadLetters.length > 0 && bytes > PAGE_BYTES_MAX) return { deadLetters, next: last };
          scanned++;
          last = Number(row.sequence);
          if (!isMatch) continue;
          const text = String(letterText.get(last)?.letter);
          deadLetters.push({ ...(JSON.parse(text) as DeadLetter), sequence: last });
        }
        return { deadLetters, next: null };
      });
    },

    async remove(ids) {
      assertOpen();
      if (ids.length === 0) return 0;
      return writer.run("removeDeadLetters", { ids }, { rows: ids.length, bytes: 0 });
    },

    async count() {
      return read(() => Number(totals.get()?.items ?? 0));
    },
  };
}

function recordOf(letter: DeadLetter, addedAtMs: number): DeadLetterRecord {
  const text = JSON.stringify(letter);
  return {
    id: letter.id,
    reason: letter.reason,
    userIdJson: JSON.stringify(letter.userId),
    failedAtMs: letter.failedAtMs,
    addedAtMs,
    bytes: Buffer.byteLength(text),
    letter: text,
  };
}

/** Every condition but the ids, which only an index can check cheaply; null and undefined conditions hold. */
function matches(filter: DeadLetterFilter, row: Record<string, unknown>): boolean {
  const failedAtMs = Number(row.failed_at);
  if (filter.reason != null && row.reason !== filter.reason) return false;
  if (filter.userId != null && row.user_id_json !== JSON.stringify(filter.userId)) return false;
  if (filter.sinceMs != null && failedAtMs < filter.sinceMs) return false;
  return filter.untilMs == null || failedAtMs < filter.untilMs;
}
