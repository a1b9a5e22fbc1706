import type { Stats } from "node:fs";
import { type FileHandle, lstat, open } from "node:fs/promises";
import { PRIVATE_FILE_MODE } from "./durable-file.ts";
import { TransferError } from "./errors.ts";
import type { LineRejection } from "./line-codec.ts";
import type { Line } from "./line-reader.ts";

/** Lines that a summary shows where no file takes them. */
export const REJECTS_SHOWN_MAX = 20;

export interface RejectedLine {
  readonly line: Line;
  readonly rejection: LineRejection;
}

/** Where the lines go that cannot be imported. */
export interface Rejects {
  add(rejected: RejectedLine): void;
  /** Writes what was added. @returns the bytes of the file so far. */
  flush(): Promise<number>;
  /** Resolves once everything written is on the disk. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * A rejected line as a line of the rejects file. `text` is the line itself, to be repaired and imported again; where
 * its bytes are not text they stand in `base64`.
 */
function encodeReject({ line, rejection }: RejectedLine): string {
  const { reason, detail } = rejection;
  const entry = { line: line.number, reason, detail };
  if (line.text !== null) return JSON.stringify({ ...entry, text: line.text });
  const base64 = line.bytes.toString("base64");
  return JSON.stringify(line.isWhole ? { ...entry, base64 } : { ...entry, base64, truncated: true });
}

/** How every line begins; see `encodeReject`. */
const REJECT_START = /^\{"line":[1-9]\d*,"reason":"[A-Z_]+","detail":"/;
/** Enough of a file for `REJECT_START`. */
const START_BYTES = 128;

/**
 * A rejects file, made when the first line comes; one of an earlier import is emptied then, and not before: until there
 * is something new to say, what it says may still be wanted. Only its owner can read it.
 *
 * @param resumeBytes how much of the file belongs to the part of the import that is done: the rest, which a killed
 *   process may have written, is cut off. 0 for an import that starts at the first line.
 * @throws TransferError the file is something else; it is left alone.
 */
export async function openRejectsFile(path: string, resumeBytes: number): Promise<Rejects> {
  let file: FileHandle | null = null;
  let written = 0;
  let waiting = "";

  async function openFile(): Promise<FileHandle> {
    const existing = await ownFile(path);
    const opened = await open(path, "a", PRIVATE_FILE_MODE);
    if (existing !== null) {
      written = Math.min(existing.size, resumeBytes);
      await opened.truncate(written);
    }
    return opened;
  }

  // A resumed import owes the cut even if nothing more is rejected.
  if ((await ownFile(path)) !== null && resumeBytes > 0) file = await openFile();

  return {
    add(rejected) {
      waiting += `${encodeReject(rejected)}\n`;
    },
    async flush() {
      if (waiting === "") return written;
      file ??= await openFile();
      const bytes = Buffer.from(waiting);
      waiting = "";
      await file.writeFile(bytes);
      written += bytes.length;
      return written;
    },
    async sync() {
      // Devices and pipes have nothing to sync.
      await file?.sync().catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EINVAL" && error.code !== "ENOTSUP") throw error;
      });
    },
    async close() {
      await file?.close();
    },
  };
}

/** Keeps the first few, for a summary. */
export function sampleRejects(): Rejects & { readonly shown: readonly RejectedLine[] } {
  const shown: RejectedLine[] = [];
  return {
    shown,
    add(rejected) {
      if (shown.length < REJECTS_SHOWN_MAX) shown.push(rejected);
    },
    flush: async () => 0,
    sync: async () => undefined,
    close: async () => undefined,
  };
}

/**
 * The rejects file of an earlier import, or null where there is none, or none that could be emptied: the path may as well
 * be /dev/stderr, or a link to it.
 *
 * @throws TransferError it is another file.
 */
async function ownFile(path: string): Promise<Stats | null> {
  const existing = await lstat(path).catch(() => null);
  if (existing?.isFile() !== true) return null;
  if (existing.size > 0 && !REJECT_START.test(await startOf(path))) {
    throw new TransferError(
      `${path} exists and is no rejects file; move it away, or name another file with --rejects`,
    );
  }
  return existing;
}

async function startOf(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(START_BYTES), 0, START_BYTES, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}
