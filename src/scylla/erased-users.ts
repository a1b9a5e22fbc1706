import { createExpiryClock } from "../domain/guarded-clock.ts";
import type { View } from "../domain/impression.ts";
import { CLOCK_TOLERANCE_MS } from "../domain/limits.ts";
import { type Clock, DAY_MS, MINUTE_MS } from "../domain/time.ts";
import type { Database } from "./database.ts";
import { messageOf } from "./errors.ts";
import type { Log } from "./log.ts";
import { integerOf, textOf, timestampOf } from "./rows.ts";

/** How soon a process hears of an erasure that another carries out. */
export const ERASURES_REFRESH_MS = 10_000;
/** Each look goes back a little behind the last one: hosts' clocks differ, and a row may be on its way. */
const REFRESH_OVERLAP_MS = 10 * MINUTE_MS;
/** Erased users kept in memory, the latest: about 30 MB. The tombstones in the tables cover the others for gc_grace. */
const ERASED_USERS_MAX = 200_000;
/** Days read at once at the start. */
const DAYS_AT_ONCE = 32;
const PAGE_ROWS = 1_000;
/** A marker outlives what it keeps out by this much. */
const MARKER_SLACK_MS = DAY_MS;

/**
 * Who was erased, in memory: writes pass over what an erased user's views received before the erasure, without asking
 * the database each time.
 *
 * It is the second of two nets. The first are the tombstones of the erasure itself, whose timestamp is the instant of
 * the erasure: a view received before, written to a row that was deleted, stays deleted. This one catches what the
 * tombstones do not: a viewers row that the erasure never saw (no reader shows it, but it would lie there until its TTL)
 * and whatever is written once the tombstones are gone (an import of an old export). Its hole: another process that
 * writes such a viewers row in the 10 seconds before it hears of the erasure.
 */
export interface ErasedUsers {
  /** Resolves when everything recorded so far is known. @throws StoreUnavailableError it cannot be read yet. */
  ready(): Promise<void>;
  /** Whether this view was received before its user was erased. */
  covers(view: Pick<View, "userId" | "receivedAtUs">): boolean;
  /** Through which receivedAt the user is erased, in microseconds; 0 where it never was. */
  throughUs(userId: string): number;
  /** Records an erasure, for this process and all others. */
  record(userId: string, throughReceivedAtUs: number): Promise<void>;
  close(): void;
}

export function createErasedUsers(options: {
  readonly database: Database;
  readonly retentionMs: number;
  readonly clock: Clock;
  readonly refreshIntervalMs: number;
  readonly log: Log;
}): ErasedUsers {
  const { database, retentionMs, clock, refreshIntervalMs, log } = options;
  const expiryClock = createExpiryClock(clock);
  const throughByUser = new Map<string, number>();
  let loading: Promise<void> | null = null;
  let refreshedAtMs = 0;
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  function remember(userId: string, throughReceivedAtUs: number): void {
    const known = throughByUser.get(userId) ?? 0;
    // Inserted anew, so that the users erased last are the last to be forgotten.
    throughByUser.delete(userId);
    throughByUser.set(userId, Math.max(known, throughReceivedAtUs));
    if (throughByUser.size <= ERASED_USERS_MAX) return;
    const [oldest] = throughByUser.keys();
    if (oldest !== undefined) throughByUser.delete(oldest);
  }

  const throughUs = (userId: string) => throughByUser.get(userId) ?? 0;

  /** Reads what was recorded in [sinceMs, now], oldest day first. */
  async function readSince(sinceMs: number): Promise<void> {
    const nowMs = clock.nowMs();
    // Not by a clock that ran ahead: the next look would miss what was recorded meanwhile.
    const readAtMs = expiryClock.nowMs();
    // One day more than today: the host that records may be ahead of this one.
    const days: number[] = [];
    for (let day = startOfDayMs(sinceMs); day <= nowMs + DAY_MS; day += DAY_MS) days.push(day);
    for (let first = 0; first < days.length; first += DAYS_AT_ONCE) {
      const read = days
        .slice(first, first + DAYS_AT_ONCE)
        .map((day) => database.read("readErasedUsers", [timestampOf(day), timestampOf(sinceMs)], PAGE_ROWS));
      for (const rows of await Promise.all(read)) {
        for (const row of rows.reverse())
          remember(textOf(row, "user_id"), integerOf(row, "through_received_at_us"));
      }
    }
    refreshedAtMs = readAtMs;
  }

  function schedule(): void {
    if (closed) return;
    timer = setTimeout(() => {
      readSince(refreshedAtMs - REFRESH_OVERLAP_MS)
        .catch((error: unknown) => log.debug({}, `erased users are not up to date: ${messageOf(error)}`))
        .finally(schedule);
    }, refreshIntervalMs);
    // Nothing to wait for at exit.
    timer.unref();
  }

  return {
    ready() {
      loading ??= readSince(clock.nowMs() - retentionMs - CLOCK_TOLERANCE_MS - MARKER_SLACK_MS).then(
        schedule,
        (error) => {
          loading = null;
          throw error;
        },
      );
      return loading;
    },
    covers: ({ userId, receivedAtUs }) => receivedAtUs <= throughUs(userId),
    throughUs,
    async record(userId, throughReceivedAtUs) {
      const recordedAtMs = clock.nowMs();
      // From then on everything received through that instant has expired.
      const endMs = throughReceivedAtUs / 1_000 + CLOCK_TOLERANCE_MS + retentionMs + MARKER_SLACK_MS;
      const ttl = Math.ceil((endMs - recordedAtMs) / 1_000);
      remember(userId, throughReceivedAtUs);
      if (ttl <= 0) return;
      await database.write("insertErasedUser", [
        timestampOf(startOfDayMs(recordedAtMs)),
        timestampOf(recordedAtMs),
        userId,
        BigInt(throughReceivedAtUs),
        BigInt(throughReceivedAtUs),
        ttl,
      ]);
    },
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}

function startOfDayMs(epochMs: number): number {
  return Math.floor(epochMs / DAY_MS) * DAY_MS;
}
