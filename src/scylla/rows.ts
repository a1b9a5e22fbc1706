import type { types } from "cassandra-driver";
import { StoreRefusedError } from "../ports/errors.ts";

/** Values on their way between the domain and CQL: the only file that knows how each is held in a column. */

/** The latest instant of a JavaScript Date, and thereby of a CQL timestamp as the driver takes it. */
const DATE_MS_MAX = 8_640_000_000_000_000;
/** Longest key that Cassandra and ScyllaDB hold, over all its columns. */
const KEY_BYTES_MAX = 65_535;

/** An instant as a CQL timestamp; one that is out of range (an open end, a cursor made by hand) becomes the farthest. */
export function timestampOf(epochMs: number): Date {
  return new Date(Math.max(-DATE_MS_MAX, Math.min(DATE_MS_MAX, epochMs)));
}

/**
 * Columns as they go over the wire, which the driver passes on as they are: a view's rows share most of their columns, and
 * the driver would encode each of them for each row.
 */
export const encoded = {
  text: (text: string): Buffer => Buffer.from(text),

  /** @throws StoreRefusedError no column of that type holds the value. */
  int(value: number): Buffer {
    if ((value | 0) !== value) throw new StoreRefusedError(`${value} is no integer of 32 bits`);
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeInt32BE(value);
    return bytes;
  },

  /** @param value a safe integer; also a timestamp, in epoch milliseconds. @throws StoreRefusedError it is not. */
  bigint(value: number): Buffer {
    if (!Number.isSafeInteger(value)) throw new StoreRefusedError(`${value} is no safe integer`);
    const high = Math.floor(value / 2 ** 32);
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeInt32BE(high);
    bytes.writeUInt32BE(value - high * 2 ** 32, 4);
    return bytes;
  },
};

/**
 * Encodes like `encode`, and gives the same bytes again for as long as the value stays the same. Rows that are written one
 * after the other share most of their columns: those of one submission its user and its receivedAt.
 */
export function repeating<Value>(encode: (value: Value) => Buffer): (value: Value) => Buffer {
  let last: { readonly value: Value; readonly bytes: Buffer } | null = null;
  return (value) => {
    if (last === null || last.value !== value) last = { value, bytes: encode(value) };
    return last.bytes;
  };
}

/** Seconds that a row of this view still has to live; null where its time is over. (A TTL of 0 would mean for ever.) */
export function ttlSeconds(viewedAtMs: number, retentionMs: number, nowMs: number): number | null {
  const leftMs = viewedAtMs + retentionMs - nowMs;
  return leftMs <= 0 ? null : Math.ceil(leftMs / 1_000);
}

/**
 * @throws StoreRefusedError the text cannot be a key: asking the database would take its time to say the same, and half
 * of a surrogate pair would become another id without a word.
 */
export function checkKey(column: string, ...texts: readonly string[]): void {
  for (const text of texts) {
    if (text === "" || !text.isWellFormed()) {
      throw new StoreRefusedError(`${column} must be a well-formed text that is not empty`);
    }
    if (Buffer.byteLength(text) > KEY_BYTES_MAX) {
      throw new StoreRefusedError(`${column} must have at most ${KEY_BYTES_MAX} bytes`);
    }
  }
}

export function textOf(row: types.Row, column: string): string {
  const value: unknown = row.get(column);
  if (typeof value === "string") return value;
  throw unexpected(column, value);
}

export function instantMsOf(row: types.Row, column: string): number {
  const value: unknown = row.get(column);
  if (value instanceof Date) return value.getTime();
  throw unexpected(column, value);
}

/** An int, or a bigint that is a safe integer: a count, or a time in microseconds. */
export function integerOf(row: types.Row, column: string): number {
  const value: unknown = row.get(column);
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  throw unexpected(column, value);
}

export function bytesOf(row: types.Row, column: string): Uint8Array {
  const value: unknown = row.get(column);
  if (value instanceof Uint8Array) return value;
  throw unexpected(column, value);
}

export function isNull(row: types.Row, column: string): boolean {
  return row.get(column) === null;
}

function unexpected(column: string, value: unknown): Error {
  return new Error(
    `column ${column} holds ${typeof value === "object" ? JSON.stringify(value) : typeof value}`,
  );
}
