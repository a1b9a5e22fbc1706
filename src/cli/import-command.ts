import { realpath } from "node:fs/promises";
import { resolve } from "node:path";
import type { Config } from "../config.ts";
import type { Clock } from "../domain/time.ts";
import { createReceivedAtClock } from "../ingest/received-at-clock.ts";
import {
  type Checkpoint,
  type ImportProgress,
  loadCheckpoint,
  removeCheckpoint,
  saveCheckpoint,
  whyNotResumable,
} from "../transfer/checkpoint.ts";
import { BadLineError } from "../transfer/errors.ts";
import { NO_LINES, rejectedLines } from "../transfer/import-counters.ts";
import { type ImportOptions, type ImportOutcome, importLines } from "../transfer/importer.ts";
import { type ImportInput, openFileInput, streamInput } from "../transfer/input.ts";
import { openRejectsFile, sampleRejects } from "../transfer/rejects.ts";
import { createSubmissionBuilder } from "../transfer/submission-builder.ts";
import { createSubmissionSender } from "../transfer/submission-sender.ts";
import { untilDrained } from "../transfer/until-drained.ts";
import type { CliDependencies } from "./dependencies.ts";
import { CommandError } from "./failure.ts";
import { CHECKPOINT_SUFFIX, type ImportFlags, REJECTS_SUFFIX } from "./import-flags.ts";
import { type ReportedRejects, resumable, sayInterrupted, summarize } from "./import-report.ts";
import { EXIT, say } from "./interruptible.ts";
import { formatCount } from "./progress.ts";
import { type TransferEngine, withEngine } from "./transfer-command.ts";
import { startTransferProgress } from "./transfer-progress.ts";

const STDIN = "-";
const START: ImportProgress = { offset: 0, line: 0, counters: NO_LINES, rejectsBytes: 0 };

/** What `impressions import` does. Gives its exit code. */
export async function importCommand(
  file: string,
  flags: ImportFlags,
  deps: CliDependencies,
  signal: AbortSignal,
): Promise<number> {
  const { clock } = deps;
  const config = deps.loadConfig();
  const input = file === STDIN ? streamInput(process.stdin) : await openFileInput(file);
  if (input.identity === null && flags.checkpoint !== undefined) {
    throw new CommandError("--checkpoint needs a file: a stream cannot be read again from the middle");
  }
  const paths = pathsFor(file, flags, input);
  await refuseSamePaths(file, paths);
  if (flags.dryRun === true) return dryRun({ input, flags, config, clock, signal });
  return withEngine(deps, config, (opened) =>
    importInto(opened, { input, paths, flags, config, clock, signal }),
  );
}

interface ImportPaths {
  /** Null: a few are shown in the summary. */
  readonly rejects: string | null;
  /** Null: cannot be resumed. */
  readonly checkpoint: string | null;
}

interface ImportRun {
  readonly input: ImportInput;
  readonly paths: ImportPaths;
  readonly flags: ImportFlags;
  readonly config: Config;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** A stream has no name to put files beside. */
function pathsFor(file: string, flags: ImportFlags, input: ImportInput): ImportPaths {
  if (input.identity === null) return { rejects: flags.rejects ?? null, checkpoint: null };
  return {
    rejects: flags.rejects ?? `${file}${REJECTS_SUFFIX}`,
    checkpoint: flags.checkpoint ?? `${file}${CHECKPOINT_SUFFIX}`,
  };
}

/** Both are overwritten: a slip of the keyboard must not cost the dump itself. */
async function refuseSamePaths(file: string, { rejects, checkpoint }: ImportPaths): Promise<void> {
  const real = async (path: string) => realpath(path).catch(() => resolve(path));
  const named = await Promise.all([file, rejects, checkpoint].filter((path) => path !== null).map(real));
  if (new Set(named).size < named.length) {
    throw new CommandError("the file to import, --rejects and --checkpoint must be different files");
  }
}

/** Judges every line by the configured retention and sends nothing. */
async function dryRun({ input, flags, config, clock, signal }: Omit<ImportRun, "paths">): Promise<number> {
  const rejects = flags.rejects === undefined ? sampleRejects() : await openRejectsFile(flags.rejects, 0);
  const builder = createSubmissionBuilder({
    receivedAt: createReceivedAtClock(clock),
    clock,
    retentionMs: config.retentionMs,
    takesLostCharacters: flags.allowLostCharacters === true,
  });
  const nothing = async () => undefined;
  return runImport({ input, flags, config, clock, signal }, START, {
    rejects,
    builder,
    room: nothing,
    send: nothing,
    save: nothing,
    afterwards: nothing,
    rejectsPath: flags.rejects ?? null,
  });
}

async function importInto({ engine, groupCommit, target }: TransferEngine, run: ImportRun): Promise<number> {
  const { input, paths, flags, config, clock, signal } = run;
  const { checkpoint: checkpointPath } = paths;
  const file = input.identity ?? { bytes: 0, headSha256: "" };
  const targetIdentity = await engine.queue.identity();

  /** What a checkpoint at this place says, progress apart. */
  async function stateAt(offset: number): Promise<Omit<Checkpoint, "rejects" | "progress">> {
    const [beforeSha256, queueSequence] = await Promise.all([
      input.sha256Before(offset),
      engine.queue.newestSequence(),
    ]);
    return { file, beforeSha256, target, targetIdentity, queueSequence };
  }

  async function save(progress: ImportProgress): Promise<void> {
    if (checkpointPath === null) return;
    const state = await stateAt(progress.offset);
    await saveCheckpoint(checkpointPath, { ...state, rejects: paths.rejects, progress });
  }

  const start = await whereToStart(run, stateAt);
  // Before anything is written: what stands there may be no rejects file.
  const rejects =
    paths.rejects === null ? sampleRejects() : await openRejectsFile(paths.rejects, start.rejectsBytes);

  const sender = createSubmissionSender({
    groupCommit,
    queue: engine.queue,
    clock,
    backlogMessagesMax: flags.backlog,
  });
  // Before the first line: a folder that cannot be written is better known now than in an hour.
  await save(start.progress);
  return runImport({ input, flags, config, clock, signal }, start.progress, {
    rejects,
    builder: createSubmissionBuilder({
      receivedAt: engine.receivedAt,
      clock,
      retentionMs: config.retentionMs,
      takesLostCharacters: flags.allowLostCharacters === true,
    }),
    room: sender.room,
    send: sender.send,
    save,
    rejectsPath: paths.rejects,
    async afterwards(onWaiting) {
      if (flags.wait) await untilDrained({ queue: engine.queue, clock, signal, onWaiting });
      if (checkpointPath !== null) await removeCheckpoint(checkpointPath);
    },
  });
}

interface Beginning {
  readonly progress: ImportProgress;
  /** As much of the rejects file as is kept. */
  readonly rejectsBytes: number;
}

/** The beginning, or where an interrupted import of the same file into the same engine stopped. */
async function whereToStart(
  { paths, flags }: ImportRun,
  stateAt: (offset: number) => Promise<Omit<Checkpoint, "rejects" | "progress">>,
): Promise<Beginning> {
  const afresh: Beginning = { progress: START, rejectsBytes: 0 };
  // Read even with --restart: what is no checkpoint must not be overwritten.
  const checkpoint = paths.checkpoint === null ? null : await loadCheckpoint(paths.checkpoint);
  if (checkpoint === null || checkpoint.progress.offset === 0) return afresh;
  if (flags.restart === true) {
    say("starting at the first line (--restart)");
    return afresh;
  }
  const reason = whyNotResumable(checkpoint, await stateAt(checkpoint.progress.offset));
  if (reason !== null) {
    say(`an earlier import was interrupted, but cannot go on: ${reason}; starting at the first line`);
    return afresh;
  }
  const { progress } = checkpoint;
  say(
    `going on behind line ${formatCount(progress.line)}, where an earlier import of this file was interrupted`,
  );
  const isSameRejectsFile = checkpoint.rejects === paths.rejects;
  return { progress, rejectsBytes: isSameRejectsFile ? progress.rejectsBytes : 0 };
}

interface ImportParts extends Pick<ImportOptions, "builder" | "room" | "send" | "save"> {
  readonly rejects: ReportedRejects;
  readonly rejectsPath: string | null;
  /** Once every line is durable. */
  readonly afterwards: (onWaiting: (pending: number) => void) => Promise<void>;
}

async function runImport(
  { input, flags, clock, signal }: Omit<ImportRun, "paths">,
  start: ImportProgress,
  parts: ImportParts,
): Promise<number> {
  const startedAtMs = clock.monotonicMs();
  const bar = startTransferProgress(process.stderr, clock, input.totalBytes, start.counters.lines);
  let reached = start;
  let outcome: ImportOutcome;
  try {
    outcome = await importLines({
      ...parts,
      clock,
      chunks: input.open(start.offset, signal),
      start,
      strict: flags.strict === true,
      signal,
      onProgress(progress) {
        reached = progress;
        bar.update({ bytes: input.bytesRead(), lines: progress.counters.lines });
      },
    });
    if (outcome.isComplete) {
      await parts.afterwards((pending) =>
        bar.phase(`waiting until all is stored, ${formatCount(pending)} messages left`),
      );
    }
  } catch (error) {
    bar.stop();
    if (signal.aborted) return sayInterrupted(reached, input, flags);
    if (!(error instanceof BadLineError)) throw resumable(error, input, flags);
    const before = flags.dryRun === true ? "" : ", the lines before it are imported";
    say(`impressions: ${error.message}; stopped there (--strict)${before}`);
    return EXIT.withRejects;
  } finally {
    bar.stop();
    await parts.rejects.close();
  }
  if (!outcome.isComplete) return sayInterrupted(outcome.progress, input, flags);
  const elapsedMs = clock.monotonicMs() - startedAtMs;
  summarize(outcome.progress, start, elapsedMs, parts, flags);
  return rejectedLines(outcome.progress.counters) > 0 ? EXIT.withRejects : EXIT.done;
}
