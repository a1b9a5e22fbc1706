import { createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { ImpressionStore } from "../ports/impression-store.ts";
import { type ExportOptions, exportFile, exportLines } from "../transfer/exporter.ts";
import { untilDrained } from "../transfer/until-drained.ts";
import type { CliDependencies } from "./dependencies.ts";
import { CommandError } from "./failure.ts";
import { EXIT, say } from "./interruptible.ts";
import { formatCount } from "./progress.ts";
import { withEngine } from "./transfer-command.ts";
import { linesPerSecond, startTransferProgress } from "./transfer-progress.ts";

const STDOUT = "-";

/** The options of `impressions export`, as they were given. */
export interface ExportFlags {
  readonly overwrite?: boolean;
  readonly wait: boolean;
}

/** What `impressions export` does. Gives its exit code. */
export async function exportCommand(
  file: string,
  flags: ExportFlags,
  deps: CliDependencies,
  signal: AbortSignal,
): Promise<number> {
  const { clock } = deps;
  const config = deps.loadConfig();
  const existing = file === STDOUT ? null : await stat(file).catch(() => null);
  if (existing?.isFile() === true && flags.overwrite !== true) {
    throw new CommandError(`${file} exists; name another file, or add --overwrite`);
  }
  if (existing?.isDirectory() === true) throw new CommandError(`${file} is a folder`);

  return withEngine(deps, config, async ({ engine }) => {
    await refuseUnfinishedErasures(engine.store);
    const bar = startTransferProgress(process.stderr, clock, null, 0);
    try {
      if (flags.wait) {
        const onWaiting = (pending: number) =>
          bar.phase(`waiting until all is stored, ${formatCount(pending)} messages left`);
        await untilDrained({ queue: engine.queue, clock, signal, onWaiting });
      }
      const startedAtMs = clock.monotonicMs();
      const options: ExportOptions = {
        store: engine.store,
        clock,
        retentionMs: config.retentionMs,
        signal,
        onProgress: (lines) => bar.update({ bytes: 0, lines }),
      };
      // A device or a named pipe cannot be replaced by a finished file.
      const output = existing === null || existing.isFile() ? null : createWriteStream(file);
      const lines =
        file === STDOUT
          ? await exportLines(options, process.stdout, "leave open")
          : output === null
            ? await exportFile(options, file)
            : await exportLines(options, output, "end");
      const letters = await engine.queue.deadLetters.count();
      bar.stop();
      const elapsedMs = clock.monotonicMs() - startedAtMs;
      say(
        `${formatCount(lines)} lines in ${(elapsedMs / 1_000).toFixed(1)} s (${linesPerSecond(lines, elapsedMs)})`,
      );
      if (letters > 0)
        say(`not exported: ${formatCount(letters)} dead letters (see \`impressions dead-letters list\`)`);
      return EXIT.done;
    } catch (error) {
      if (!signal.aborted) throw error;
      bar.stop();
      say(file === STDOUT ? "interrupted" : "interrupted; no file was written");
      return EXIT.interrupted;
    } finally {
      bar.stop();
    }
  });
}

/** Views that a user asked to forget must not live on in a file. */
async function refuseUnfinishedErasures(store: Pick<ImpressionStore, "unfinishedErasures">): Promise<void> {
  const { length } = await store.unfinishedErasures();
  if (length === 0) return;
  const which =
    length === 1 ? "the erasure of a user is" : `the erasures of ${formatCount(length)} users are`;
  throw new CommandError(
    `${which} not finished, and the export would hold their views: let \`impressions serve\` (or a worker) finish it first`,
  );
}
