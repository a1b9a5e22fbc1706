import {
  FLAG,
  HYPHENS,
  PACK_VERSION,
  SURFACE_BEHIND,
  SURFACE_SHIFT,
  tailOf,
  UUID_BYTES,
  UUID_CHARACTERS,
} from "./pack-layout.ts";

/** The bytes of a pack are not what was encoded, or a later release encoded them. */
export class CorruptPackError extends Error {
  override readonly name = "CorruptPackError";

  constructor(what: string) {
    super(`a pack of a user's views cannot be read: ${what}`);
  }
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const HEX_CODES = new Uint8Array(Buffer.from(HEX.join("")));
const HYPHEN = 45;

/**
 * Reads a pack view by view, at once and alone (see TEXT); its fields are those of the view that `next` has come to. A class, since every question reads
 * thousands of views.
 */
export class PackReader {
  viewedAtMs: number;
  surface: string | null = null;
  position: number | null = null;
  dwellMs: number | null = null;

  private readonly bytes: Uint8Array;
  private at = 1;
  private left: number;
  private isFirst = true;
  private readonly surfaces: string[] = [];
  /** Where the text of the last id that was one ends in TEXT; the next begins with a part of it. */
  private textEnd = 0;
  private isUuid = false;
  private uuidAt = 0;

  constructor(bytes: Uint8Array, newestAtMs: number) {
    this.bytes = bytes;
    this.viewedAtMs = newestAtMs;
    if (bytes[0] !== PACK_VERSION) {
      throw new CorruptPackError(`its version is ${bytes[0]}, and this release reads ${PACK_VERSION}`);
    }
    this.left = this.varint();
  }

  /** Goes on to the next view. @returns false behind the last one. */
  next(): boolean {
    if (this.left === 0) {
      if (this.at !== this.bytes.length) throw new CorruptPackError("bytes follow its last view");
      return false;
    }
    this.left--;
    if (!this.isFirst) this.viewedAtMs -= this.varint();
    const flags = this.byte();
    const short = flags >> SURFACE_SHIFT;
    this.surface = this.surfaceOf(short === SURFACE_BEHIND ? this.varint() : short);
    this.isUuid = (flags & FLAG.UUID) !== 0;
    if (this.isUuid) this.uuidAt = this.skip(UUID_BYTES);
    else this.readText();
    this.position = (flags & FLAG.POSITION) === 0 ? null : this.varint();
    this.dwellMs = (flags & FLAG.DWELL) === 0 ? null : this.varint();
    // A later release's: this one does without.
    if ((flags & FLAG.MORE) !== 0) this.skip(this.varint());
    this.isFirst = false;
    return true;
  }

  postId(): string {
    return this.isUuid ? this.uuid() : TEXT.toString("utf8", 0, this.textEnd);
  }

  /** See `tailOfId`. */
  tail(): number {
    return this.isUuid ? tailOf(this.bytes, this.uuidAt + UUID_BYTES) : tailOf(TEXT, this.textEnd);
  }

  private uuid(): string {
    let written = 0;
    for (let index = 0; index < UUID_BYTES; index++) {
      if (HYPHENS.has(written)) UUID_TEXT[written++] = HYPHEN;
      const digit = 2 * (this.bytes[this.uuidAt + index] ?? 0);
      UUID_TEXT[written++] = HEX_CODES[digit] ?? 0;
      UUID_TEXT[written++] = HEX_CODES[digit + 1] ?? 0;
    }
    return UUID_TEXT.toString("latin1", 0, UUID_CHARACTERS);
  }

  private readText(): void {
    const shared = this.isFirst ? 0 : this.varint();
    const length = this.varint();
    if (shared > this.textEnd) throw new CorruptPackError("an id goes on where none ends");
    const start = this.skip(length);
    const end = shared + length;
    if (end > TEXT.length) {
      const longer = Buffer.allocUnsafe(2 * end);
      TEXT.copy(longer, 0, 0, shared);
      TEXT = longer;
    }
    for (let index = 0; index < length; index++) TEXT[shared + index] = this.bytes[start + index] ?? 0;
    this.textEnd = end;
  }

  /** By its number; the text of a new one, which has the next, follows. */
  private surfaceOf(number: number): string | null {
    if (number === 0) return null;
    const known = this.surfaces[number - 1];
    if (known !== undefined) return known;
    if (number !== this.surfaces.length + 1) throw new CorruptPackError("a surface has no name");
    const length = this.varint();
    const start = this.skip(length);
    const surface = Buffer.from(this.bytes.subarray(start, start + length)).toString();
    this.surfaces.push(surface);
    return surface;
  }

  /** Goes past so many bytes. @returns where they begin. */
  private skip(length: number): number {
    const start = this.at;
    this.at += length;
    if (this.at > this.bytes.length) throw new CorruptPackError("it ends too early");
    return start;
  }

  private byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new CorruptPackError("it ends too early");
    return byte;
  }

  private varint(): number {
    let byte = this.byte();
    if (byte < 128) return byte;
    let value = byte & 127;
    let factor = 128;
    do {
      byte = this.byte();
      value += (byte & 127) * factor;
      factor *= 128;
    } while (byte > 127);
    if (!Number.isSafeInteger(value)) throw new CorruptPackError("a number is too large");
    return value;
  }
}

/** A pack is read to its end before another is begun, and what is read of an id is a text of its own: one place will do. */
let TEXT = Buffer.allocUnsafe(1_024);
const UUID_TEXT = Buffer.allocUnsafe(UUID_CHARACTERS);
