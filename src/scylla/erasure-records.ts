import type { types } from "cassandra-driver";
import { ERASURE_STATUSES, type Erasure, type ErasureStatus } from "../domain/erasure.ts";
import { fnv1aFmix32 } from "../domain/shard-hash.ts";
import type { Database } from "./database.ts";
import { instantMsOf, integerOf, isNull, textOf, timestampOf } from "./rows.ts";
import type { UserHashes } from "./user-hashes.ts";

/** Partitions of the index of unfinished erasures: bounds how many tombstones a look at one of them meets. */
const BUCKETS = 16;
/** Unfinished erasures looked at, the oldest; see admin/erasure-runner.ts for which have their turn. */
const UNFINISHED_MAX = 1_000;

/** The records of erasures, and which of them are not finished. */
export interface ErasureRecords {
  save(erasure: Erasure): Promise<void>;
  find(id: string): Promise<Erasure | null>;
  unfinished(): Promise<Erasure[]>;
}

export function createErasureRecords(
  database: Database,
  userHashes: Pick<UserHashes, "keptOf">,
): ErasureRecords {
  async function find(id: string): Promise<Erasure | null> {
    const [row] = await database.read("findReceipt", [id], 1);
    return row === undefined ? null : erasureOf(row);
  }

  return {
    async save(erasure) {
      const { id, userId, requestedAtUs, status, rowsDeleted, finishedAtMs } = erasure;
      const indexKey = [bucketOf(id), BigInt(requestedAtUs), id];
      // The index is only ever too long: entered before the erasure record, left after it.
      if (!isFinished(status)) {
        await database.write("insertUnfinished", [...indexKey, writeTimestamp(erasure)]);
      }
      await database.write("saveReceipt", [
        id,
        status === "DONE" ? await userHashes.keptOf(userId) : userId,
        BigInt(requestedAtUs),
        status,
        BigInt(rowsDeleted),
        finishedAtMs === null ? null : timestampOf(finishedAtMs),
        writeTimestamp(erasure),
      ]);
      if (isFinished(status)) {
        await database.write("deleteUnfinished", [writeTimestamp(erasure), ...indexKey]);
      }
    },

    find,

    async unfinished() {
      const buckets = Array.from({ length: BUCKETS }, (_, bucket) => bucket);
      const entries = await Promise.all(
        buckets.map((bucket) => database.read("readUnfinished", [bucket, UNFINISHED_MAX], UNFINISHED_MAX)),
      );
      const oldest = entries
        .flat()
        .map((row) => ({ id: textOf(row, "id"), requestedAtUs: integerOf(row, "requested_at_us") }))
        .sort((a, b) => a.requestedAtUs - b.requestedAtUs || (a.id < b.id ? -1 : 1))
        .slice(0, UNFINISHED_MAX);
      const erasures = await Promise.all(oldest.map(({ id }) => find(id)));
      return erasures.filter((erasure) => erasure !== null && !isFinished(erasure.status)) as Erasure[];
    },
  };
}

/**
 * An erasure record only ever moves on. Its write timestamp therefore follows its status and not the clock of the host that
 * writes it: a host whose clock is behind could otherwise not finish what one ahead of it has begun.
 */
function writeTimestamp({ requestedAtUs, status }: Erasure): bigint {
  return BigInt(requestedAtUs + STATUS_RANK[status]);
}

const STATUS_RANK: Record<ErasureStatus, number> = { WAITING_FOR_QUEUE: 0, DELETING: 1, FAILED: 2, DONE: 3 };

function isFinished(status: ErasureStatus): boolean {
  return status === "DONE" || status === "FAILED";
}

function bucketOf(id: string): number {
  return fnv1aFmix32(id) % BUCKETS;
}

function erasureOf(row: types.Row): Erasure {
  const status = ERASURE_STATUSES.find((known) => known === textOf(row, "status"));
  if (status === undefined) throw new Error(`erasure_receipts holds the status ${textOf(row, "status")}`);
  return {
    id: textOf(row, "id"),
    userId: textOf(row, "user_id"),
    requestedAtUs: integerOf(row, "requested_at_us"),
    status,
    rowsDeleted: integerOf(row, "rows_deleted"),
    finishedAtMs: isNull(row, "finished_at") ? null : instantMsOf(row, "finished_at"),
  };
}

/** Rows of one erasure that are looked at: a claim or two. */
const CLAIMS_MAX = 10;

/**
 * Which process works at an erasure. No lightweight transaction (docs/adr/0007): a process that wants an unclaimed erasure
 * enters itself and looks again. Of two that do so at once at least one sees the other, because a quorum of replicas takes
 * what each writes and answers what each reads; a process that sees another gives up.
 */
export function createClaims(database: Database) {
  async function holdersOf(id: string): Promise<string[]> {
    const rows = await database.read("readClaims", [id, CLAIMS_MAX], CLAIMS_MAX);
    return rows.map((row) => textOf(row, "holder"));
  }
  const enter = (id: string, holder: string, leaseMs: number) =>
    database.write("insertClaim", [id, holder, Math.ceil(leaseMs / 1_000)]);
  const leave = (id: string, holder: string) => database.write("deleteClaim", [id, holder]);

  return {
    async claim(id: string, holder: string, leaseMs: number): Promise<boolean> {
      const holders = await holdersOf(id);
      const isMine = holders.includes(holder);
      if (holders.length > 0 && !isMine) return false;
      await enter(id, holder, leaseMs);
      if (isMine) return true;
      const isAlone = (await holdersOf(id)).every((other) => other === holder);
      if (!isAlone) await leave(id, holder);
      return isAlone;
    },
    release: leave,
  };
}
