import type { Clock } from "../domain/time.ts";
import { formatCount, startProgress } from "./progress.ts";
import { terminalText } from "./terminal-text.ts";

/** How far an operator command is. */
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
  const all = formatCount(total ?? 0);
  const progress = startProgress(stream, clock, {
    total,
    format: {
      withTotal: `{bar} {percentage}%  {count} of {all} ${unit}  ETA {eta_formatted}  {text}`,
      withoutTotal: `{count} ${unit}  {text}`,
    },
    values: { count: "0", all, text: "" },
  });
  const of = total === null ? "" : ` of ${all}`;
  return {
    update(done, text = "") {
      const count = formatCount(done);
      progress.update(done, { count, text: terminalText(text) }, () =>
        terminalText(`${count}${of} ${unit}  ${text}`.trimEnd()),
      );
    },
    stop: progress.stop,
  };
}
