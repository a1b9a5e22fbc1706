import { createExpiryClock } from "../domain/guarded-clock.ts";
import type { View } from "../domain/impression.ts";
import { CLOCK_TOLERANCE_MS, RETENTION_MS_MAX } from "../domain/limits.ts";
import { type Clock, DAY_MS, MINUTE_MS } from "../domain/time.ts";
import type { Log } from "../telemetry/logger.ts";
import type { Database } from "./database.ts";
import { messageOf } from "./errors.ts";
import { integerOf, textOf, timestampOf } from "./rows.ts";
import type { ReadName } from "./statements.ts";
import type { UserHashes } from "./user-hashes.ts";

/** How soon a process hears of an erasure that another carries out. */
export const ERASURES_REFRESH_MS = 10_000;
/** Each look goes back a little behind the last one: hosts' clocks differ, and a row may be on its way. */
const REFRESH_OVERLAP_MS = 10 * MINUTE_MS;
/** Erased users kept in memory, the latest: about 30 MB. The tombstones in the tables cover the others for gc_grace. */
const ERASED_USERS_MAX = 200_000;
/** A partition of what is recorded. */
const PERIOD_MS = 30 * DAY_MS;
/** Partitions read at once at the start. */
const PARTITIONS_AT_ONCE = 32;
const PAGE_ROWS = 1_000;
/**
 * How long a marker stays after the instant that it covers: whatever RETENTION_DAYS is set to later, what was received by
 * then is over, and a day more.
 */
const MARKER_LIFE_MS = RETENTION_MS_MAX + CLOCK_TOLERANCE_MS + DAY_MS;

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
  readonly userHashes: UserHashes;
  readonly retentionMs: number;
  readonly clock: Clock;
  readonly refreshIntervalMs: number;
  readonly log: Log;
}): ErasedUsers {
  const { database, userHashes, retentionMs, clock, refreshIntervalMs, log } = options;
  const expiryClock = createExpiryClock(clock);
  /** By hash; by id what a release before has recorded. */
  const throughByUser = new Map<string, number>();
  /** What is received later was received after every erasure. */
  let newestThroughUs = 0;
  let loading: Promise<void> | null = null;
  let refreshedAtMs = 0;
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  function remember(user: string, throughReceivedAtUs: number): void {
    const known = throughByUser.get(user) ?? 0;
    newestThroughUs = Math.max(newestThroughUs, throughReceivedAtUs);
    // Inserted anew, so that the users erased last are the last to be forgotten.
    throughByUser.delete(user);
    throughByUser.set(user, Math.max(known, throughReceivedAtUs));
    if (throughByUser.size <= ERASED_USERS_MAX) return;
    const [oldest] = throughByUser.keys();
    if (oldest !== undefined) throughByUser.delete(oldest);
  }

  const throughUs = (userId: string) =>
    Math.max(...[userId, ...userHashes.allOf(userId)].map((user) => throughByUser.get(user) ?? 0));

  /** Reads what was recorded from then on, the oldest first. A release before kept it for the retention of its time. */
  async function readSince({ sinceMs, idsSinceMs }: { sinceMs: number; idsSinceMs: number }): Promise<void> {
    const nowMs = clock.nowMs();
    // Not by a clock that ran ahead: the next look would miss what was recorded meanwhile.
    const readAtMs = expiryClock.nowMs();
    await readPartitions("readErasedUserIds", "user_id", DAY_MS, idsSinceMs, nowMs);
    await readPartitions("readErasedUsers", "user_hash", PERIOD_MS, sinceMs, nowMs);
    // After the hashes: their keys were stored before them.
    await userHashes.refresh();
    refreshedAtMs = readAtMs;
  }

  async function readPartitions(
    statement: ReadName,
    column: string,
    lengthMs: number,
    sinceMs: number,
    nowMs: number,
  ): Promise<void> {
    const starts: number[] = [];
    // A day more than now: the host that records may be ahead of this one.
    for (let startMs = startOf(lengthMs, sinceMs); startMs <= nowMs + DAY_MS; startMs += lengthMs)
      starts.push(startMs);
    for (let first = 0; first < starts.length; first += PARTITIONS_AT_ONCE) {
      const read = starts
        .slice(first, first + PARTITIONS_AT_ONCE)
        .map((startMs) => database.read(statement, [timestampOf(startMs), timestampOf(sinceMs)], PAGE_ROWS));
      for (const rows of await Promise.all(read)) {
        for (const row of rows.reverse())
          remember(textOf(row, column), integerOf(row, "through_received_at_us"));
      }
    }
  }

  function schedule(): void {
    if (closed) return;
    timer = setTimeout(() => {
      const sinceMs = refreshedAtMs - REFRESH_OVERLAP_MS;
      readSince({ sinceMs, idsSinceMs: sinceMs })
        .catch((error: unknown) => log.debug({}, `erased users are not up to date: ${messageOf(error)}`))
        .finally(schedule);
    }, refreshIntervalMs);
    // Nothing to wait for at exit.
    timer.unref();
  }

  async function readAll(): Promise<void> {
    const nowMs = clock.nowMs();
    await readSince({
      idsSinceMs: nowMs - retentionMs - CLOCK_TOLERANCE_MS - DAY_MS,
      sinceMs: nowMs - MARKER_LIFE_MS,
    });
  }

  return {
    ready() {
      loading ??= readAll().then(schedule, (error) => {
        loading = null;
        throw error;
      });
      return loading;
    },
    covers: ({ userId, receivedAtUs }) =>
      receivedAtUs <= newestThroughUs && receivedAtUs <= throughUs(userId),
    throughUs,
    async record(userId, throughReceivedAtUs) {
      const user = await userHashes.keptOf(userId);
      const recordedAtMs = clock.nowMs();
      const ttl = Math.ceil((throughReceivedAtUs / 1_000 + MARKER_LIFE_MS - recordedAtMs) / 1_000);
      remember(user, throughReceivedAtUs);
      if (ttl <= 0) return;
      await database.write("insertErasedUser", [
        timestampOf(startOf(PERIOD_MS, recordedAtMs)),
        timestampOf(recordedAtMs),
        user,
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

function startOf(lengthMs: number, epochMs: number): number {
  return Math.floor(epochMs / lengthMs) * lengthMs;
}
