import type { Clock } from "../domain/time.ts";
import { formatCount, startProgress } from "./progress.ts";

/** How far a transfer is. */
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
  const progress = startProgress(stream, clock, {
    total: totalBytes,
    format: {
      withTotal: "{bar} {percentage}%  {lines} lines  {rate}  ETA {eta_formatted}  {phase}",
      withoutTotal: "{lines} lines  {rate}  {phase}",
    },
    values: { lines: "0", rate: "", phase: "" },
  });
  return {
    update({ bytes, lines: count }) {
      const lines = formatCount(count);
      const rate = linesPerSecond(count - linesBefore, clock.monotonicMs() - startedAtMs);
      const share = totalBytes === null ? "" : ` (${Math.floor((100 * bytes) / Math.max(totalBytes, 1))} %)`;
      progress.update(bytes, { lines, rate, phase: "" }, () => `${lines} lines${share}, ${rate}`);
    },
    phase: (text) => progress.say({ phase: text }, () => text),
    stop: progress.stop,
  };
}

/** `52,000 lines/s` */
export function linesPerSecond(lines: number, elapsedMs: number): string {
  return `${formatCount(Math.round((lines * 1_000) / Math.max(elapsedMs, 1)))} lines/s`;
}
