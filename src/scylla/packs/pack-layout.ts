/** What the writer and the reader of packs share; docs/pack-format.md has it byte by byte. */

/** The first byte of a pack. */
export const PACK_VERSION = 1;

/** The byte in front of each view: what it says of the view, and, in the upper half, the place of its surface. */
export const FLAG = {
  /** The id is a UUID, as its 16 bytes; else text. */
  UUID: 1,
  POSITION: 2,
  DWELL: 4,
  /** Fields of a later release follow the view, with their length. */
  MORE: 8,
} as const;
export const SURFACE_SHIFT = 4;
/** The surface's number stands behind the flags; smaller ones stand in them. 0 is none; a new one has the next number. */
export const SURFACE_BEHIND = 15;

export const UUID_BYTES = 16;
export const UUID_CHARACTERS = 36;
/** Where a UUID's text has its hyphens. */
export const HYPHENS: ReadonlySet<number> = new Set([8, 13, 18, 23]);

/** Whether a text is a UUID in its canonical form, in lower case: no other text has the same 16 bytes. */
export function isUuid(text: string): boolean {
  if (text.length !== UUID_CHARACTERS) return false;
  for (let index = 0; index < UUID_CHARACTERS; index++) {
    const code = text.charCodeAt(index);
    const isRight = HYPHENS.has(index)
      ? code === 45
      : (code >= 48 && code <= 57) || (code >= 97 && code <= 102);
    if (!isRight) return false;
  }
  return true;
}

/** Ids have so many different tails at most. */
export const TAILS = 65_536;

/**
 * A number from 0, less than TAILS, of the last bytes of an id as a pack holds it. Ids with different tails are different: comparing
 * these is cheaper than making a text of each id that is read.
 */
export function tailOf(bytes: Uint8Array, end: number): number {
  const last = ((bytes[end - 1] ?? 0) << 8) | (bytes[end - 2] ?? 0);
  return (last ^ (((bytes[end - 3] ?? 0) << 4) | ((bytes[end - 4] ?? 0) << 11))) & (TAILS - 1);
}

/** The tail that a pack's reader tells for this id. */
export function tailOfId(id: string): number {
  const bytes = isUuid(id) ? Buffer.from(id.slice(-8), "hex") : Buffer.from(id);
  return tailOf(bytes, bytes.length);
}
