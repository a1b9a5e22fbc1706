import type { ImportProgress } from "../transfer/checkpoint.ts";
import { TransferError } from "../transfer/errors.ts";
import { rejectedLines } from "../transfer/import-counters.ts";
import type { ImportInput } from "../transfer/input.ts";
import { REJECTS_SHOWN_MAX, type RejectedLine, type Rejects } from "../transfer/rejects.ts";
import { CommandError } from "./failure.ts";
import type { ImportFlags } from "./import-flags.ts";
import { EXIT, say } from "./interruptible.ts";
import { formatCount } from "./progress.ts";
import { linesPerSecond } from "./transfer-progress.ts";

/** Rejects that may have kept a few lines to be shown. */
export type ReportedRejects = Rejects & { readonly shown?: readonly RejectedLine[] };

/** Says what became of all lines. */
export function summarize(
  { counters }: ImportProgress,
  start: ImportProgress,
  elapsedMs: number,
  parts: { readonly rejects: ReportedRejects; readonly rejectsPath: string | null },
  flags: ImportFlags,
): void {
  const rejected = rejectedLines(counters);
  const speed = linesPerSecond(counters.lines - start.counters.lines, elapsedMs);
  say(`${formatCount(counters.lines)} lines in ${(elapsedMs / 1_000).toFixed(1)} s (${speed})`);
  say(`  ${flags.dryRun === true ? "valid   " : "accepted"}  ${formatCount(counters.accepted)}`);
  if (counters.old > 0)
    say(`  too old   ${formatCount(counters.old)}  (older than the retention: nothing to store)`);
  if (rejected === 0) return;
  say(`  rejected  ${formatCount(rejected)}`);
  for (const [reason, count] of Object.entries(counters.rejected))
    say(`    ${reason.padEnd(20)}  ${formatCount(count)}`);
  if (parts.rejectsPath !== null) say(`Rejected lines, with reasons: ${parts.rejectsPath}`);
  for (const { line, rejection } of parts.rejects.shown ?? []) {
    say(`  line ${line.number}: ${rejection.reason}: ${rejection.detail}`);
  }
  const hidden = parts.rejects.shown === undefined ? 0 : rejected - parts.rejects.shown.length;
  if (hidden > 0)
    say(
      `  and ${formatCount(hidden)} more; the first ${REJECTS_SHOWN_MAX} are shown, --rejects FILE keeps all`,
    );
}

/** Says how far the import came. Gives its exit code. */
export function sayInterrupted(reached: ImportProgress, input: ImportInput, flags: ImportFlags): number {
  say(`interrupted behind line ${formatCount(reached.line)}${howToGoOn(input, flags)}`);
  return EXIT.interrupted;
}

/** Adds to a failure what becomes of the import. */
export function resumable(error: unknown, input: ImportInput, flags: ImportFlags): unknown {
  if (!(error instanceof TransferError)) return error;
  return new CommandError(`${error.message}${howToGoOn(input, flags)}`, { cause: error });
}

function howToGoOn(input: ImportInput, flags: ImportFlags): string {
  if (flags.dryRun === true) return "";
  if (input.identity === null)
    return "; a stream cannot be resumed, importing it again from the start is harmless";
  return "; run the same command again to go on from there";
}
