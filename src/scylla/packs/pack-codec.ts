import { hash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Impression } from "../../domain/impression.ts";
import { compareUtf8 } from "../../domain/utf8-order.ts";
import { compareDetails } from "../../domain/versions.ts";
import { CorruptPackError, PackReader } from "./pack-reader.ts";
import { createPackWriter } from "./pack-writer.ts";

/**
 * Packs: the views of one user that were received as one, as the bytes of one row. The format is docs/pack-format.md's, with
 * test vectors in test/unit/pack-vectors.json; it is on disks, so neither changes.
 */

/** From the newest to the oldest view of a pack. */
export const PACK_SPAN_MS_MAX = 15 * 60_000;
export const PACK_VIEWS_MAX = 100;
/** A view that is larger alone is a pack of its own. */
export const PACK_BYTES_MAX = 24 * 1_024;
const ID_BYTES = 8;

export interface EncodedPack {
  /** The viewedAt of its newest view; the bytes don't repeat it. */
  readonly newestAtMs: number;
  /** 8 bytes: a CRC-32 of newestAtMs and the bytes, and the first 4 bytes of a SHA-256 of the same. */
  readonly id: Buffer;
  readonly bytes: Buffer;
}

/**
 * Cuts views of one user and one receivedAt into packs: newest first, in a tie by the UTF-8 bytes of the post's id, greatest
 * first. Of versions of one view only the one that stays (`compareDetails`) is kept. The same views give the same packs, in whatever
 * order they come.
 */
export function packsOf(views: readonly Impression[]): EncodedPack[] {
  const sorted = views.length < 2 ? views : views.toSorted(compareViews);
  const packs: EncodedPack[] = [];
  let writer = createPackWriter();
  let newestAtMs = 0;
  let before: Impression | null = null;

  for (const view of sorted) {
    if (before !== null && before.viewedAtMs === view.viewedAtMs && before.postId === view.postId) continue;
    before = view;
    const isFull = writer.views() === PACK_VIEWS_MAX || newestAtMs - view.viewedAtMs > PACK_SPAN_MS_MAX;
    if (writer.views() > 0 && (isFull || !writer.add(view, PACK_BYTES_MAX))) {
      packs.push(encoded(newestAtMs, writer.bytes()));
      writer = createPackWriter();
    }
    if (writer.views() === 0) {
      newestAtMs = view.viewedAtMs;
      writer.add(view, Number.POSITIVE_INFINITY);
    }
  }
  if (writer.views() > 0) packs.push(encoded(newestAtMs, writer.bytes()));
  return packs;
}

/**
 * The views of a pack, newest first.
 *
 * @param newestAtMs what stands beside the bytes. @param id it, too.
 * @throws CorruptPackError it says what is wrong, and no id.
 */
export function decodePack(bytes: Uint8Array, newestAtMs: number, id: Uint8Array): Impression[] {
  const reader = openPack(bytes, newestAtMs, id);
  const views: Impression[] = [];
  while (reader.next()) {
    const { viewedAtMs, position, dwellMs, surface } = reader;
    views.push({ postId: reader.postId(), viewedAtMs, surface, position, dwellMs });
  }
  return views;
}

/** The same, without an object for each view: `visit` sees the reader at each of them in turn. */
export function forEachView(
  bytes: Uint8Array,
  newestAtMs: number,
  id: Uint8Array,
  visit: (view: PackReader) => void,
): void {
  const reader = openPack(bytes, newestAtMs, id);
  while (reader.next()) visit(reader);
}

function openPack(bytes: Uint8Array, newestAtMs: number, id: Uint8Array): PackReader {
  if (id.length !== ID_BYTES || readUint32(id) !== checksumOf(newestAtMs, bytes)) {
    throw new CorruptPackError("its checksum is another one");
  }
  return new PackReader(bytes, newestAtMs);
}

function encoded(newestAtMs: number, bytes: Buffer): EncodedPack {
  const instant = Buffer.alloc(8);
  instant.writeDoubleBE(newestAtMs);
  const id = Buffer.alloc(ID_BYTES);
  id.writeUInt32BE(checksumOf(newestAtMs, bytes));
  hash("sha256", Buffer.concat([instant, bytes]), "buffer").copy(id, 4, 0, 4);
  return { newestAtMs, id, bytes };
}

/** A CRC-32 of the bytes that begins with the instant, its upper and lower half as one. */
function checksumOf(newestAtMs: number, bytes: Uint8Array): number {
  return crc32(bytes, (Math.floor(newestAtMs / 2 ** 32) ^ newestAtMs) >>> 0);
}

function readUint32(bytes: Uint8Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

/** Newest first, then by the id, greatest first; of versions of one view the one that stays is the first. */
function compareViews(a: Impression, b: Impression): number {
  return (
    b.viewedAtMs - a.viewedAtMs ||
    (a.postId === b.postId ? compareDetails(b, a) : compareUtf8(b.postId, a.postId))
  );
}
