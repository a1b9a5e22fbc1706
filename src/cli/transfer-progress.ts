import { clearLine, cursorTo } from "node:readline";
import { Presets, SingleBar } from "cli-progress";
import type { Clock } from "../domain/time.ts";

/** Where no terminal redraws a bar: a line this often. */
const LINE_INTERVAL_MS = 10_000;
/** A bar is redrawn at most so often. */
const REDRAWS_PER_SECOND = 5;

/** Shows how far a transfer is: a bar on a terminal, now and then a line in a log. */
export interface TransferProgress {
  /** @param bytes of the total; ignored where there is none. */
  update(state: { readonly bytes: number; readonly lines: number }): void;
  /** What it is doing where the numbers do not say. */
  phase(text: string): void;
  /** Takes the bar away. Repeated calls do nothing. */
  stop(): void;
}

/**
 * @param stream usually stderr: stdout is for data.
 * @param totalBytes null where it is unknown.
 * @param linesBefore lines of an earlier run, which do not count for the speed.
 */
export function startTransferProgress(
  stream: NodeJS.WriteStream,
  clock: Clock,
  totalBytes: number | null,
  linesBefore: number,
): TransferProgress {
  const startedAtMs = clock.monotonicMs();
  const rate = (lines: number) => linesPerSecond(lines - linesBefore, clock.monotonicMs() - startedAtMs);
  return stream.isTTY ? bar(stream, totalBytes, rate) : logLines(stream, clock, totalBytes, rate);
}

function bar(
  stream: NodeJS.WriteStream,
  totalBytes: number | null,
  rate: (lines: number) => string,
): TransferProgress {
  const known = "{bar} {percentage}%  {lines} lines  {rate}  ETA {eta_formatted}  {phase}";
  const single = new SingleBar(
    {
      stream,
      format: totalBytes === null ? "{lines} lines  {rate}  {phase}" : known,
      fps: REDRAWS_PER_SECOND,
      hideCursor: false,
      // The command stops it; its own signal handlers would come between.
      gracefulExit: false,
      clearOnComplete: true,
    },
    Presets.shades_classic,
  );
  // A total of 0 draws an empty bar at 0 %.
  const total = Math.max(totalBytes ?? 0, 1);
  single.start(total, 0, { lines: "0", rate: "", phase: "" });
  let bytesShown = 0;
  return {
    update({ bytes, lines }) {
      bytesShown = Math.min(bytes, total);
      single.update(bytesShown, { lines: formatCount(lines), rate: rate(lines), phase: "" });
    },
    phase(text) {
      single.update(bytesShown, { phase: text });
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
  totalBytes: number | null,
  rate: (lines: number) => string,
): TransferProgress {
  let saidAtMs = clock.monotonicMs();
  function say(text: () => string): void {
    if (clock.monotonicMs() - saidAtMs < LINE_INTERVAL_MS) return;
    saidAtMs = clock.monotonicMs();
    stream.write(`${text()}\n`);
  }
  return {
    update({ bytes, lines }) {
      const share = totalBytes === null ? "" : ` (${Math.floor((100 * bytes) / Math.max(totalBytes, 1))} %)`;
      say(() => `${formatCount(lines)} lines${share}, ${rate(lines)}`);
    },
    phase(text) {
      say(() => text);
    },
    stop() {},
  };
}

/** `1,234,567` */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** `52,000 lines/s` */
export function linesPerSecond(lines: number, elapsedMs: number): string {
  return `${formatCount(Math.round((lines * 1_000) / Math.max(elapsedMs, 1)))} lines/s`;
}
