const utf8 = new TextEncoder();
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
/** A code unit up to here is its own UTF-8 byte: most ids need no encoder. */
const ASCII_MAX = 0x7f;

/**
 * The shard hash: 32-bit FNV-1a over the id's UTF-8 bytes, finished with MurmurHash3's fmix32. FNV alone leaves its low
 * bits to the low bits of each byte, and consecutive ids would gather in a shard.
 *
 * Part of the stored format: another function would look for rows where they are not. Its test holds fixed vectors.
 *
 * @returns an unsigned 32-bit integer.
 */
export function fnv1aFmix32(id: string): number {
  let hash = FNV_OFFSET;
  for (let index = 0; index < id.length; index++) {
    const unit = id.charCodeAt(index);
    if (unit > ASCII_MAX) return finished(hashOf(utf8.encode(id)));
    hash = Math.imul(hash ^ unit, FNV_PRIME);
  }
  return finished(hash);
}

function hashOf(bytes: Uint8Array): number {
  let hash = FNV_OFFSET;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash;
}

/** MurmurHash3's fmix32. */
function finished(mixed: number): number {
  let hash = mixed;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
