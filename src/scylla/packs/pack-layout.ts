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
