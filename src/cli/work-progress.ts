import { clearLine, cursorTo } from "node:readline";
import { Presets, SingleBar } from "cli-progress";
import type { Clock } from "../domain/time.ts";
import { terminalText } from "./terminal-text.ts";
import { formatCount } from "./transfer-progress.ts";

/** Where no terminal redraws a bar: a line this often. */
const LINE_INTERVAL_MS = 10_000;
/** A bar is redrawn at most so often. */
const REDRAWS_PER_SECOND = 5;

/** Shows how far an operator command is: a bar on a terminal, now and then a line in a log. */
export interface WorkProgress {
  update(done: number, text?: string): void;
  /** Takes the bar away. Repeated calls do nothing. */
  stop(): void;
}

/**
 * @param stream usually stderr: stdout is for data.
 * @param work.total null where it is unknown.
 * @param work.unit what is counted, as a plural.
 */
export function startWorkProgress(
  stream: NodeJS.WriteStream,
  clock: Clock,
  { total, unit }: { readonly total: number | null; readonly unit: string },
): WorkProgress {
  return stream.isTTY ? bar(stream, total, unit) : logLines(stream, clock, total, unit);
}

function bar(stream: NodeJS.WriteStream, total: number | null, unit: string): WorkProgress {
  const known = `{bar} {percentage}%  {count} of {all} ${unit}  ETA {eta_formatted}  {text}`;
  const single = new SingleBar(
    {
      stream,
      format: total === null ? `{count} ${unit}  {text}` : known,
      fps: REDRAWS_PER_SECOND,
      hideCursor: false,
      // The command stops it; its own signal handlers would come between.
      gracefulExit: false,
      clearOnComplete: true,
    },
    Presets.shades_classic,
  );
  // A total of 0 draws an empty bar at 0 %.
  const drawn = Math.max(total ?? 0, 1);
  const all = formatCount(total ?? 0);
  single.start(drawn, 0, { count: "0", all, text: "" });
  return {
    update(done, text = "") {
      single.update(Math.min(done, drawn), { count: formatCount(done), text: terminalText(text) });
    },
    stop() {
      if (!single.isActive) return;
      single.stop();
      clearLine(stream, 0);
      cursorTo(stream, 0);
    },
  };
}

function logLines(
  stream: NodeJS.WriteStream,
  clock: Clock,
  total: number | null,
  unit: string,
): WorkProgress {
  const of = total === null ? "" : ` of ${formatCount(total)}`;
  let saidAtMs = clock.monotonicMs();
  return {
    update(done, text = "") {
      if (clock.monotonicMs() - saidAtMs < LINE_INTERVAL_MS) return;
      saidAtMs = clock.monotonicMs();
      stream.write(`${terminalText(`${formatCount(done)}${of} ${unit}  ${text}`.trimEnd())}\n`);
    },
    stop() {},
  };
}
