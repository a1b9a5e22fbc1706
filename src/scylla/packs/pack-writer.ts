import type { Impression } from "../../domain/impression.ts";
import { StoreRefusedError } from "../../ports/errors.ts";
import { FLAG, isUuid, PACK_VERSION, SURFACE_BEHIND, SURFACE_SHIFT, UUID_BYTES } from "./pack-layout.ts";

/** A varint has seven bits a byte; a safe integer has 53. */
const VARINT_BYTES_MAX = 8;

/** Writes the views of one pack, in their order. */
export interface PackWriter {
  /**
   * @returns whether the view was added; not, where the pack would be larger than so many bytes.
   * @throws StoreRefusedError a number is no safe integer from 0.
   */
  add(view: Impression, bytesMax: number): boolean;
  /** Views so far. */
  views(): number;
  bytes(): Buffer;
}

/** The bytes that a pack is written into, one pack at a time. */
let scratch = Buffer.allocUnsafe(64 * 1_024);

export function createPackWriter(): PackWriter {
  const surfaces: string[] = [];
  const entries: Buffer[] = [];
  let entryBytes = 0;
  let lastMs = 0;
  let lastText: Buffer = Buffer.alloc(0);

  return {
    views: () => entries.length,

    add(view, bytesMax) {
      const { postId, viewedAtMs, surface, position, dwellMs } = view;
      const isFirst = entries.length === 0;
      const known = surface === null ? 0 : surfaces.indexOf(surface) + 1;
      const isNewSurface = surface !== null && known === 0;
      const number = isNewSurface ? surfaces.length + 1 : known;
      const surfaceText = isNewSurface ? Buffer.from(surface) : null;
      const text = isUuid(postId) ? null : Buffer.from(postId);
      const flags =
        (text === null ? FLAG.UUID : 0) |
        (position === null ? 0 : FLAG.POSITION) |
        (dwellMs === null ? 0 : FLAG.DWELL) |
        (Math.min(number, SURFACE_BEHIND) << SURFACE_SHIFT);

      room(1 + 7 * VARINT_BYTES_MAX + (surfaceText?.length ?? 0) + (text?.length ?? UUID_BYTES));
      let end = isFirst ? 0 : writeVarint(0, lastMs - viewedAtMs);
      scratch[end++] = flags;
      if (number >= SURFACE_BEHIND) end = writeVarint(end, number);
      if (surfaceText !== null) end = writeText(end, surfaceText, 0);
      if (text === null) end = writeUuid(end, postId);
      else {
        const shared = isFirst ? 0 : sharedBytes(lastText, text);
        if (!isFirst) end = writeVarint(end, shared);
        end = writeText(end, text, shared);
      }
      if (position !== null) end = writeVarint(end, position);
      if (dwellMs !== null) end = writeVarint(end, dwellMs);

      if (headerBytes(entries.length + 1) + entryBytes + end > bytesMax) return false;
      if (isNewSurface) surfaces.push(surface);
      entries.push(Buffer.from(scratch.subarray(0, end)));
      entryBytes += end;
      lastMs = viewedAtMs;
      if (text !== null) lastText = text;
      return true;
    },

    bytes() {
      scratch[0] = PACK_VERSION;
      const end = writeVarint(1, entries.length);
      return Buffer.concat([scratch.subarray(0, end), ...entries], end + entryBytes);
    },
  };
}

function headerBytes(views: number): number {
  return views < 128 ? 2 : 3;
}

function room(bytes: number): void {
  if (scratch.length < bytes) scratch = Buffer.allocUnsafe(2 * bytes);
}

/** @returns where the next byte goes. */
function writeVarint(at: number, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new StoreRefusedError(`${value} is no safe integer from 0`);
  }
  let rest = value;
  let end = at;
  while (rest > 127) {
    scratch[end++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  scratch[end++] = rest;
  return end;
}

/** The length of what follows `from`, and that. */
function writeText(at: number, text: Buffer, from: number): number {
  const end = writeVarint(at, text.length - from);
  return end + text.copy(scratch, end, from);
}

function writeUuid(at: number, text: string): number {
  scratch.write(text.replaceAll("-", ""), at, "hex");
  return at + UUID_BYTES;
}

function sharedBytes(before: Uint8Array, text: Uint8Array): number {
  const most = Math.min(before.length, text.length);
  let shared = 0;
  while (shared < most && before[shared] === text[shared]) shared++;
  return shared;
}
