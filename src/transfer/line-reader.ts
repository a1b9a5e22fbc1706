import { isUtf8 } from "node:buffer";
import { TransferError } from "./errors.ts";
import type { LineRejection } from "./line-codec.ts";

/**
 * The longest line that is read: some 12 times the longest valid one (two ids and a surface, every character escaped).
 * It bounds what a file without line feeds can make us hold.
 */
export const LINE_BYTES_MAX = 64 * 1024;
/** How much of a longer line is kept, to recognise it by. */
const LONG_LINE_START_BYTES = 1024;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const UTF8_BOM = Buffer.from([0xef, 0xbb, 0xbf]);

interface LineBase {
  /** From 1, blank lines counted, as editors count. */
  readonly number: number;
  /** Bytes from the start of the file to behind this line's line feed. */
  readonly endOffset: number;
}

/** A line without its line end. */
export interface TextLine extends LineBase {
  readonly text: string;
}

/** A line whose bytes cannot be taken as text. */
export interface BrokenLine extends LineBase {
  readonly text: null;
  readonly rejection: LineRejection;
  /** The line's bytes; only their start where it is too long. */
  readonly bytes: Buffer;
  readonly isWhole: boolean;
}

export type Line = TextLine | BrokenLine;

/** Where a reader starts: the bytes and lines in front of what it is given. */
export interface LinePosition {
  readonly offset: number;
  readonly line: number;
}

/**
 * Splits a file's bytes into lines, whatever the chunks. Ends at LF or CRLF, the last line may lack its end; a UTF-8
 * byte order mark at the start of the file and blank lines are passed over.
 */
export interface LineSplitter {
  /** @throws TransferError the file starts like gzip or UTF-16. */
  push(chunk: Buffer): Line[];
  /** The last line, where it has no line feed. */
  end(): Line[];
}

/** @param start what lies in front of the first chunk; `{ offset: 0, line: 0 }` for a whole file. */
export function createLineSplitter(start: LinePosition): LineSplitter {
  let offset = start.offset;
  let number = start.line;
  /** The bytes of a line whose end has not come yet, cut to its start once it is too long. */
  let held: Buffer[] = [];
  let heldBytes = 0;
  let isTooLong = false;
  /** The first bytes of the file, until there are enough to tell what it is. */
  let head: Buffer | null = start.offset === 0 ? Buffer.alloc(0) : null;

  function hold(bytes: Buffer): void {
    offset += bytes.length;
    if (isTooLong || bytes.length === 0) return;
    held.push(bytes);
    heldBytes += bytes.length;
    if (heldBytes > LINE_BYTES_MAX + 1) {
      // One byte of grace: it may be the CR of a line end.
      held = [Buffer.from(Buffer.concat(held).subarray(0, LONG_LINE_START_BYTES))];
      isTooLong = true;
    }
  }

  function take(): Line | null {
    number++;
    const [first] = held;
    let bytes = held.length === 1 && first !== undefined ? first : Buffer.concat(held);
    const wasTooLong = isTooLong;
    held = [];
    heldBytes = 0;
    isTooLong = false;
    if (wasTooLong) return tooLong(bytes);
    if (bytes.at(-1) === CARRIAGE_RETURN) bytes = bytes.subarray(0, -1);
    if (bytes.length > LINE_BYTES_MAX) return tooLong(Buffer.from(bytes.subarray(0, LONG_LINE_START_BYTES)));
    if (!isUtf8(bytes)) {
      const rejection = { reason: "UNREADABLE_LINE", detail: "the line is not UTF-8" } as const;
      return { number, endOffset: offset, text: null, rejection, bytes, isWhole: true };
    }
    const text = bytes.toString("utf8");
    return text.trim() === "" ? null : { number, endOffset: offset, text };
  }

  function tooLong(bytes: Buffer): BrokenLine {
    const rejection = {
      reason: "LINE_TOO_LONG",
      detail: `the line has more than ${LINE_BYTES_MAX} bytes`,
    } as const;
    return { number, endOffset: offset, text: null, rejection, bytes, isWhole: false };
  }

  function split(chunk: Buffer): Line[] {
    const lines: Line[] = [];
    let from = 0;
    for (let feed = chunk.indexOf(LINE_FEED); feed !== -1; feed = chunk.indexOf(LINE_FEED, from)) {
      hold(chunk.subarray(from, feed));
      offset++;
      const line = take();
      if (line !== null) lines.push(line);
      from = feed + 1;
    }
    // A copy: a slice would keep the whole chunk alive.
    if (from < chunk.length) hold(Buffer.from(chunk.subarray(from)));
    return lines;
  }

  /** Passes over a byte order mark. */
  function splitFirst(bytes: Buffer): Line[] {
    head = null;
    refuseForeignFormats(bytes);
    if (!bytes.subarray(0, UTF8_BOM.length).equals(UTF8_BOM)) return split(bytes);
    offset += UTF8_BOM.length;
    return split(bytes.subarray(UTF8_BOM.length));
  }

  return {
    push(chunk) {
      if (head === null) return split(chunk);
      head = Buffer.concat([head, chunk]);
      return head.length < UTF8_BOM.length ? [] : splitFirst(head);
    },
    end() {
      const lines = head === null ? [] : splitFirst(head);
      const last = heldBytes > 0 ? take() : null;
      return last === null ? lines : [...lines, last];
    },
  };
}

/** The lines of a stream of bytes, in handfuls: one for each chunk. */
export async function* readLines(chunks: AsyncIterable<Buffer>, start: LinePosition): AsyncGenerator<Line[]> {
  const splitter = createLineSplitter(start);
  for await (const chunk of chunks) yield splitter.push(chunk);
  yield splitter.end();
}

/** Says what to do about a file that would only be a million unreadable lines. */
function refuseForeignFormats(head: Buffer): void {
  const first = head.at(0);
  const second = head.at(1);
  if (first === 0x1f && second === 0x8b) {
    throw new TransferError("the input is compressed with gzip; pipe it through `gunzip -c`");
  }
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new TransferError(
      "the input is UTF-16; convert it first, for example with `iconv -f UTF-16 -t UTF-8`",
    );
  }
}
