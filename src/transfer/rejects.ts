import { type FileHandle, lstat, open, rm } from "node:fs/promises";
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
export function encodeReject({ line, rejection }: RejectedLine): string {
  const { reason, detail } = rejection;
  const entry = { line: line.number, reason, detail };
  if (line.text !== null) return JSON.stringify({ ...entry, text: line.text });
  const base64 = line.bytes.toString("base64");
  return JSON.stringify(line.isWhole ? { ...entry, base64 } : { ...entry, base64, truncated: true });
}

/**
 * A rejects file, made when the first line comes.
 *
 * @param resumeBytes how much of the file belongs to the part of the import that is done: the rest, which a killed
 *   process may have written, is cut off. Null starts afresh: a file of an earlier import is removed.
 */
export async function openRejectsFile(path: string, resumeBytes: number | null): Promise<Rejects> {
  const existing = await lstat(path).catch(() => null);
  // Only regular files: the path may as well be /dev/stderr.
  const isOurs = existing?.isFile() === true;
  if (isOurs && resumeBytes === null) await rm(path);
  let file: FileHandle | null = null;
  let written = 0;
  let waiting = "";

  async function openFile(): Promise<FileHandle> {
    const opened = await open(path, "a");
    if (isOurs && resumeBytes !== null) {
      written = Math.min(existing.size, resumeBytes);
      await opened.truncate(written);
    }
    return opened;
  }

  // A resumed import owes the cut even if nothing more is rejected.
  if (isOurs && resumeBytes !== null) file = await openFile();

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
