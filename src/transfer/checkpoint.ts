import { readFile, rm } from "node:fs/promises";
import { z } from "zod";
import { replaceFile } from "./durable-file.ts";
import { TransferError } from "./errors.ts";
import type { ImportCounters } from "./import-counters.ts";
import type { FileIdentity } from "./input.ts";
import type { LinePosition } from "./line-reader.ts";

const CHECKPOINT_VERSION = 2;

/** How far an import is: every line up to here is durable in the queue, counted as old, or written as rejected. */
export interface ImportProgress extends LinePosition {
  readonly counters: ImportCounters;
  /** The rejects file's length at this place. */
  readonly rejectsBytes: number;
}

/** What an import that was stopped, or killed, needs to go on. */
export interface Checkpoint {
  readonly file: FileIdentity;
  /** The file's bytes right before the place where the import goes on; see ImportInput. */
  readonly beforeSha256: string;
  /** Which engine took the lines. */
  readonly target: string;
  /** Which data of that engine's; see ImpressionQueue.identity. */
  readonly targetIdentity: string;
  /** The newest message of that engine's queue at the time. */
  readonly queueSequence: number;
  /** The rejects file; null where there is none. */
  readonly rejects: string | null;
  readonly progress: ImportProgress;
}

const count = z.int().nonnegative();
/** The counters are called `tally` in the file. */
const checkpointFile = z.object({
  importCheckpoint: z.literal(CHECKPOINT_VERSION),
  file: z.object({ bytes: count, headSha256: z.string() }),
  beforeSha256: z.string(),
  target: z.string(),
  targetIdentity: z.string(),
  queueSequence: count,
  rejects: z.string().nullable(),
  progress: z.object({
    offset: count,
    line: count,
    tally: z.object({ lines: count, accepted: count, old: count, rejected: z.record(z.string(), count) }),
    rejectsBytes: count,
  }),
});

/** Replaces the checkpoint; it is durable when this resolves. */
export async function saveCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const { counters: tally, ...progress } = checkpoint.progress;
  const file = { importCheckpoint: CHECKPOINT_VERSION, ...checkpoint, progress: { ...progress, tally } };
  await replaceFile(path, `${JSON.stringify(file, null, 2)}\n`);
}

/**
 * @returns null where there is none.
 * @throws TransferError the file is something else; it is left alone.
 */
export async function loadCheckpoint(path: string): Promise<Checkpoint | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  const parsed = checkpointFile.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new TransferError(
      `${path} is not a checkpoint of this version; move it away, or name another --checkpoint`,
    );
  }
  const { importCheckpoint: _, progress, ...checkpoint } = parsed.data;
  const { tally: counters, ...reached } = progress;
  return { ...checkpoint, progress: { ...reached, counters } };
}

/** The import is complete. */
export async function removeCheckpoint(path: string): Promise<void> {
  await rm(path, { force: true });
}

/**
 * Why an import cannot go on from a checkpoint, as the end of a sentence, or null where it can. Going on in the wrong
 * place would leave lines out; starting over only takes time, since lines that were imported already change nothing.
 */
export function whyNotResumable(
  checkpoint: Checkpoint,
  now: Omit<Checkpoint, "rejects" | "progress">,
): string | null {
  const isSameFile =
    checkpoint.file.bytes === now.file.bytes &&
    checkpoint.file.headSha256 === now.file.headSha256 &&
    checkpoint.beforeSha256 === now.beforeSha256;
  if (!isSameFile) return "the file has changed since";
  if (checkpoint.target !== now.target) return `it was going into another engine (${checkpoint.target})`;
  // A queue's sequences only grow. A smaller one belongs to an older copy of it.
  if (checkpoint.targetIdentity !== now.targetIdentity || checkpoint.queueSequence > now.queueSequence)
    return "the engine's data is not what it was going into";
  return null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
