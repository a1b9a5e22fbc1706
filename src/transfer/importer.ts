import type { Submission } from "../domain/impression.ts";
import type { Clock } from "../domain/time.ts";
import type { ImportProgress } from "./checkpoint.ts";
import { BadLineError, TransferError } from "./errors.ts";
import { decodeLine, type LineRejection } from "./line-codec.ts";
import { type Line, readLines } from "./line-reader.ts";
import type { Rejects } from "./rejects.ts";
import type { SubmissionBuilder } from "./submission-builder.ts";

/** A batch closes at one of these. */
const BATCH_LINES_MAX = 1_000;
const BATCH_BYTES_MAX = 512 * 1024;
/**
 * Batches on their way at once: enough to keep the queue busy, and with them the memory of an import is bounded,
 * whatever the file.
 */
const BATCHES_IN_FLIGHT_MAX = 8;
/** Progress is saved after this many lines or this much time, whichever comes first: what a kill makes us do again. */
const SAVE_LINES_MAX = 20_000;
const SAVE_INTERVAL_MS = 1_000;
/** So many lines without a single JSON object mean that the file is something else. */
const UNREADABLE_START_LINES_MAX = 1_000;

export interface ImportOptions {
  /** The file's bytes from `start.offset` on. */
  readonly chunks: AsyncIterable<Buffer>;
  readonly start: ImportProgress;
  readonly builder: SubmissionBuilder;
  readonly clock: Clock;
  /** Resolves when there is room for the next batch. */
  readonly room: (signal: AbortSignal) => Promise<void>;
  /** Resolves when all of them are durable. */
  readonly send: (submissions: readonly Submission[], signal: AbortSignal) => Promise<void>;
  readonly rejects: Rejects;
  /** Makes progress durable; called with ever greater progress. */
  readonly save: (progress: ImportProgress) => Promise<void>;
  readonly onProgress: (progress: ImportProgress) => void;
  /** Stop at the first line that must be rejected. */
  readonly strict: boolean;
  /** Stops the import after what is on its way, with the progress saved. */
  readonly signal: AbortSignal;
}

export interface ImportOutcome {
  /** Whether the file was read to its end; false where the signal stopped it. */
  readonly isComplete: boolean;
  readonly progress: ImportProgress;
}

/** Lines that were read together, and how far the import is once they and all before them are durable. */
interface Batch {
  readonly sent: Promise<{ readonly error: unknown } | null>;
  readonly end: ImportProgress;
}

/**
 * Imports lines: decodes, judges, sends in batches, several at once, and saves how far everything is durable.
 *
 * Batches are completed in the order in which they were read, so that "everything up to here" is simply the end of the
 * oldest one; a slow batch holds the later ones back, which costs less than keeping account of every line.
 *
 * @throws BadLineError with `strict`, after the lines before the bad one are durable and saved.
 * @throws TransferError the queue takes nothing, or the file is no newline-delimited JSON; progress is saved.
 */
export async function importLines(options: ImportOptions): Promise<ImportOutcome> {
  /** Ends the tries of batches that no longer count. */
  const giveUp = new AbortController();
  const signal = AbortSignal.any([options.signal, giveUp.signal]);
  const batches: Batch[] = [];
  const lines = createLineTaker(options);
  const durable = createDurableProgress(options);

  async function launch(): Promise<void> {
    const { submissions, end } = await lines.close();
    if (submissions.length > 0) await options.room(signal);
    // Never rejects: a batch may fail before it is waited for.
    const sent = options.send(submissions, signal).then(
      () => null,
      (error: unknown) => ({ error }),
    );
    batches.push({ sent, end });
    if (batches.length >= BATCHES_IN_FLIGHT_MAX) await completeOldest();
  }

  async function completeOldest(): Promise<void> {
    const batch = batches[0];
    if (batch === undefined) return;
    const failure = await batch.sent;
    // A batch that failed stays in front: whatever became of those behind it, they are no progress.
    if (failure !== null) throw failure.error;
    batches.shift();
    await durable.reach(batch.end);
  }

  async function readAll(): Promise<boolean> {
    for await (const read of readLines(options.chunks, options.start)) {
      for (const line of read) {
        if (!lines.take(line)) continue;
        await launch();
        if (signal.aborted) return false;
      }
      if (signal.aborted) return false;
    }
    return true;
  }

  /** Waits for what is on its way, up to the first batch that fails. */
  async function completeAll(): Promise<void> {
    while (batches.length > 0) await completeOldest();
  }

  try {
    const isComplete = await readAll();
    if (isComplete) await launch();
    await completeAll();
    await durable.save();
    return { isComplete, progress: durable.progress() };
  } catch (error) {
    const wasStopped = options.signal.aborted;
    if (error instanceof BadLineError) await launch().catch(() => undefined);
    await completeAll().catch(() => undefined);
    giveUp.abort();
    await Promise.all(batches.map((batch) => batch.sent));
    await durable.save();
    if (wasStopped) return { isComplete: false, progress: durable.progress() };
    throw error;
  }
}

/** Judges lines, counts them, and gathers those that are accepted until a batch of them is closed. */
interface LineTaker {
  /** @returns whether the batch is full. @throws BadLineError with `strict`; the line is not taken then. */
  take(line: Line): boolean;
  /** What the lines of the batch send, and how far the import is with them. Their rejects are written, not yet durable. */
  close(): Promise<{ readonly submissions: readonly Submission[]; readonly end: ImportProgress }>;
}

function createLineTaker({
  start,
  builder,
  rejects,
  strict,
}: Pick<ImportOptions, "start" | "builder" | "rejects" | "strict">): LineTaker {
  const counts = { ...start.counters, rejected: { ...start.counters.rejected } };
  let readTo = { offset: start.offset, line: start.line };
  let batchLines = 0;
  let batchBytes = 0;

  function judge(line: Line, lineBytes: number): LineRejection | null {
    if (line.text === null) return line.rejection;
    const decoded = decodeLine(line.text);
    if (decoded.kind === "rejected") return decoded.rejection;
    const added = builder.add(decoded.record, lineBytes);
    if (added.kind === "rejected") return added.rejection;
    if (added.kind === "accepted") counts.accepted++;
    else counts.old++;
    return null;
  }

  function refuseOtherFormats(): void {
    const { UNREADABLE_LINE: unreadable = 0 } = counts.rejected;
    if (unreadable < UNREADABLE_START_LINES_MAX || unreadable !== counts.lines) return;
    throw new TransferError(
      `none of the first ${counts.lines} lines is a JSON object; the file must be newline-delimited JSON`,
    );
  }

  return {
    take(line) {
      const lineBytes = line.endOffset - readTo.offset;
      const rejection = judge(line, lineBytes);
      if (rejection !== null) {
        if (strict) throw new BadLineError(`line ${line.number}: ${rejection.reason}: ${rejection.detail}`);
        counts.rejected[rejection.reason] = (counts.rejected[rejection.reason] ?? 0) + 1;
        rejects.add({ line, rejection });
      }
      counts.lines++;
      readTo = { offset: line.endOffset, line: line.number };
      batchLines++;
      batchBytes += lineBytes;
      return batchLines >= BATCH_LINES_MAX || batchBytes >= BATCH_BYTES_MAX;
    },
    async close() {
      refuseOtherFormats();
      batchLines = 0;
      batchBytes = 0;
      const submissions = builder.take();
      const rejectsBytes = await rejects.flush();
      const counters = { ...counts, rejected: { ...counts.rejected } };
      return { submissions, end: { ...readTo, counters, rejectsBytes } };
    },
  };
}

/** How far everything is durable, and how far that is saved. */
interface DurableProgress {
  progress(): ImportProgress;
  /** Everything up to here is durable; saves that where it is due. */
  reach(end: ImportProgress): Promise<void>;
  save(): Promise<void>;
}

function createDurableProgress(
  options: Pick<ImportOptions, "start" | "rejects" | "save" | "onProgress" | "clock">,
): DurableProgress {
  const { clock } = options;
  let durable = options.start;
  let saved = options.start;
  let savedAtMs = clock.monotonicMs();

  async function save(): Promise<void> {
    if (durable === saved) return;
    await options.rejects.sync();
    await options.save(durable);
    saved = durable;
    savedAtMs = clock.monotonicMs();
  }

  return {
    progress: () => durable,
    async reach(end) {
      durable = end;
      options.onProgress(durable);
      const isDue =
        durable.counters.lines - saved.counters.lines >= SAVE_LINES_MAX ||
        clock.monotonicMs() - savedAtMs >= SAVE_INTERVAL_MS;
      if (isDue) await save();
    },
    save,
  };
}
