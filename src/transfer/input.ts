import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { addAbortSignal, pipeline, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { TransferError } from "./errors.ts";

/** As much of a file's start as is hashed to recognise it by. */
const HEAD_BYTES = 64 * 1024;
/** As much of a file as is hashed before the place where an import stopped. */
const BEFORE_BYTES = 16 * 1024;
/** One read of the disk. Larger ones gain nothing: the lines of one chunk are in memory together. */
const READ_BYTES = 256 * 1024;

/** What identifies a file. Not its name or dates, which a copy changes. */
export interface FileIdentity {
  readonly bytes: number;
  readonly headSha256: string;
}

/** Something to import. */
export interface ImportInput {
  /** Null for a stream, which cannot be read again from the middle. */
  readonly identity: FileIdentity | null;
  /**
   * A hash of the bytes right before this offset: an import that goes on there must find the lines that it has imported.
   * Of a compressed file it is that of its last bytes, which hold a checksum of everything; of a stream it says nothing.
   */
  sha256Before(offset: number): Promise<string>;
  /** Null where it is unknown. */
  readonly totalBytes: number | null;
  /** How much of `totalBytes` was read, for a progress bar. */
  bytesRead(): number;
  /** The (decompressed) bytes from this offset on. To be called once; the iteration fails when the signal aborts. */
  open(offset: number, signal: AbortSignal): AsyncIterable<Buffer>;
}

/** A file, compressed with gzip or not, or a pipe that has a name. @throws the system's error where it cannot be read. */
export async function openFileInput(path: string): Promise<ImportInput> {
  const { size, isRegular } = await stat(path).then((stats) => ({
    size: stats.size,
    isRegular: stats.isFile(),
  }));
  // Not only devices: `import <(mysql ...)` names a pipe.
  if (!isRegular) return streamInput(createReadStream(path, { highWaterMark: READ_BYTES }));
  const head = await readBytes(path, 0, HEAD_BYTES);
  const isGzip = head[0] === 0x1f && head[1] === 0x8b;
  let alreadyRead = 0;
  let file: ReturnType<typeof createReadStream> | null = null;
  return {
    identity: { bytes: size, headSha256: sha256(head) },
    async sha256Before(offset) {
      const end = isGzip ? size : offset;
      const start = Math.max(0, end - BEFORE_BYTES);
      return sha256(await readBytes(path, start, end - start));
    },
    totalBytes: size,
    bytesRead: () => alreadyRead + (file?.bytesRead ?? 0),
    open(offset, signal) {
      if (isGzip) {
        file = createReadStream(path, { highWaterMark: READ_BYTES });
        const gunzip = createGunzip({ chunkSize: READ_BYTES });
        // Errors arrive at the reader of `gunzip`, which pipeline destroys with them.
        pipeline(file, gunzip, () => undefined);
        return skipBytes(explained(addAbortSignal(signal, gunzip)), offset);
      }
      alreadyRead = offset;
      file = createReadStream(path, { start: offset, highWaterMark: READ_BYTES });
      return addAbortSignal(signal, file) as AsyncIterable<Buffer>;
    },
  };
}

/** Standard input, or any stream of bytes. */
export function streamInput(stream: Readable): ImportInput {
  return {
    identity: null,
    sha256Before: async () => "",
    totalBytes: null,
    bytesRead: () => 0,
    open: (offset, signal) => skipBytes(addAbortSignal(signal, stream), offset),
  };
}

async function readBytes(path: string, offset: number, length: number): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Says what zlib's error codes mean. */
async function* explained(decompressed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* decompressed;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code?.startsWith("Z_") !== true) throw error;
    throw new TransferError(`the compressed file is cut short or damaged (${message})`, { cause: error });
  }
}

async function* skipBytes(chunks: AsyncIterable<Buffer>, bytes: number): AsyncGenerator<Buffer> {
  let toSkip = bytes;
  for await (const chunk of chunks) {
    if (toSkip >= chunk.length) {
      toSkip -= chunk.length;
      continue;
    }
    yield toSkip === 0 ? chunk : chunk.subarray(toSkip);
    toSkip = 0;
  }
}
