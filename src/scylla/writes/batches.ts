import type { WriteName } from "../statements.ts";

/** One statement of a batch. */
export interface BatchRow {
  readonly statement: WriteName;
  readonly parameters: readonly unknown[];
}

/** Rows in one batch; measured, larger ones gain nothing. */
export const BATCH_ROWS_MAX = 100;
/**
 * Cassandra warns of batches over 5 KiB and refuses those over 50 KiB where they hold several partition keys. Rows of several
 * tables under one key count as one: 200 kB of them are taken, 60 kB under two keys are not.
 */
export const BATCH_BYTES_MAX = 30 * 1_024;
/** What a row weighs beside its columns: the write time and end of each cell, numbers that are not encoded, framing. */
const ROW_OVERHEAD_BYTES = 64;

/**
 * Cuts groups of rows of one partition key into batches within the limits. A group stays together: it is what must be
 * one mutation.
 */
export function cutIntoBatches(groups: readonly (readonly BatchRow[])[]): BatchRow[][] {
  const batches: BatchRow[][] = [];
  let batch: BatchRow[] = [];
  let bytes = 0;
  for (const group of groups) {
    const groupBytes = group.reduce((sum, row) => sum + rowBytes(row), 0);
    if (
      batch.length > 0 &&
      (batch.length + group.length > BATCH_ROWS_MAX || bytes + groupBytes > BATCH_BYTES_MAX)
    ) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(...group);
    bytes += groupBytes;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

/** About what a row weighs on its way and in the database's count; rather more than less. */
export function rowBytes({ parameters }: BatchRow): number {
  let bytes = ROW_OVERHEAD_BYTES;
  for (const value of parameters) bytes += bytesOf(value);
  return bytes;
}

function bytesOf(value: unknown): number {
  if (Buffer.isBuffer(value)) return value.length;
  if (typeof value === "string") return Buffer.byteLength(value);
  if (typeof value !== "object" || value === null || value instanceof Date) return 0;
  return Object.values(value).reduce((sum: number, field: unknown) => sum + bytesOf(field), 0);
}
