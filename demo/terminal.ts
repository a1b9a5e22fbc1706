import { clearScreenDown, moveCursor } from "node:readline";
import { percentile, type Second } from "./figures.ts";

const BAR_WIDTH = 40;

/** Redraws a few lines in place on a terminal; elsewhere prints a line every five seconds. */
export function createLiveView(stream: NodeJS.WriteStream): {
  show(seconds: readonly Second[], total: number): void;
} {
  let drawn = 0;
  return {
    show(seconds, total) {
      const last = seconds.at(-1);
      if (last === undefined) return;
      const p50 = percentile(last.latenciesMs, 0.5).toFixed(1);
      const p99 = percentile(last.latenciesMs, 0.99).toFixed(1);
      if (!stream.isTTY) {
        if (seconds.length % 5 === 0)
          stream.write(
            `${seconds.length} s ${last.phase}: ${last.views} views/s, p99 ${p99} ms, backlog ${last.backlog}\n`,
          );
        return;
      }
      const done = Math.min(BAR_WIDTH, Math.round((seconds.length / total) * BAR_WIDTH));
      const most = Math.max(1, ...seconds.map(({ views }) => views));
      const load = Math.round((last.views / most) * BAR_WIDTH);
      const lines = [
        `${"#".repeat(done).padEnd(BAR_WIDTH, ".")}  ${seconds.length} of ${total} s   ${last.phase}`,
        `${"=".repeat(load).padEnd(BAR_WIDTH)}  ${last.views} views/s`,
        `write latency     p50 ${p50} ms   p99 ${p99} ms   ${last.latenciesMs.length} requests/s, ${last.failed} failed`,
        `waiting           ${last.waiting} views in phones, ${last.backlog} messages in the queue`,
        `dead letters      ${last.deadLetters}`,
      ];
      moveCursor(stream, -999, -drawn);
      clearScreenDown(stream);
      stream.write(`${lines.join("\n")}\n`);
      drawn = lines.length;
    },
  };
}
