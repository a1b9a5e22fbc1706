import { clearLine, cursorTo } from "node:readline";
import { Presets, SingleBar } from "cli-progress";
import type { Clock } from "../domain/time.ts";

/** Where no terminal redraws a bar: a line this often. */
const LINE_INTERVAL_MS = 10_000;
/** A bar is redrawn at most so often. */
const REDRAWS_PER_SECOND = 5;

/** Values for the places of a bar's format, by their names. */
type Values = Readonly<Record<string, string>>;

/** How far a command is: a bar on a terminal, now and then a line in a log. */
export interface Progress {
  /** @param values for the bar. @param line what a log says instead, asked for where a line is due. */
  update(done: number, values: Values, line: () => string): void;
  /** The same, where the number has not changed. */
  say(values: Values, line: () => string): void;
  /** Takes the bar away. Repeated calls do nothing. */
  stop(): void;
}

/**
 * @param stream usually stderr: stdout is for data.
 * @param bar.total null where it is unknown.
 * @param bar.format of cli-progress: one with a total, one without.
 * @param bar.values of each place in the format, for the beginning.
 */
export function startProgress(
  stream: NodeJS.WriteStream,
  clock: Clock,
  bar: {
    readonly total: number | null;
    readonly format: { readonly withTotal: string; readonly withoutTotal: string };
    readonly values: Values;
  },
): Progress {
  return stream.isTTY ? drawBar(stream, bar) : writeLines(stream, clock);
}

function drawBar(
  stream: NodeJS.WriteStream,
  { total, format, values: firstValues }: Parameters<typeof startProgress>[2],
): Progress {
  const single = new SingleBar(
    {
      stream,
      format: total === null ? format.withoutTotal : format.withTotal,
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
  single.start(drawn, 0, firstValues);
  let shown = 0;
  return {
    update(done, values) {
      shown = Math.min(done, drawn);
      single.update(shown, values);
    },
    say: (values) => single.update(shown, values),
    stop() {
      if (!single.isActive) return;
      single.stop();
      clearLine(stream, 0);
      cursorTo(stream, 0);
    },
  };
}

function writeLines(stream: NodeJS.WriteStream, clock: Clock): Progress {
  let writtenAtMs = clock.monotonicMs();
  function write(line: () => string): void {
    if (clock.monotonicMs() - writtenAtMs < LINE_INTERVAL_MS) return;
    writtenAtMs = clock.monotonicMs();
    stream.write(`${line()}\n`);
  }
  return {
    update: (_done, _values, line) => write(line),
    say: (_values, line) => write(line),
    stop() {},
  };
}

/** `1,234,567` */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}
