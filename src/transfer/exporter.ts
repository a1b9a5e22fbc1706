import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { Clock } from "../domain/time.ts";
import { isExpired } from "../domain/validation.ts";
import { StoreUnavailableError } from "../ports/errors.ts";
import type { ImpressionStore, ScanPage, ScanPosition } from "../ports/impression-store.ts";
import { createBackoff, createStallWatch, STALL_MS_MAX } from "./backoff.ts";
import { PRIVATE_FILE_MODE, renameDurably } from "./durable-file.ts";
import { TransferStalledError } from "./errors.ts";
import { encodeLine } from "./line-codec.ts";

/** Views in one page of the store: some 200 KB of lines. */
const PAGE_VIEWS = 1_000;

export interface ExportOptions {
  readonly store: Pick<ImpressionStore, "scan">;
  readonly clock: Clock;
  readonly retentionMs: number;
  /** Told how many lines were handed to the output so far. */
  readonly onProgress: (lines: number) => void;
  readonly signal: AbortSignal;
  readonly stallMsMax?: number;
}

/**
 * Writes every stored view within the retention as a line; the store is read only as fast as the output takes.
 *
 * @param ending whether the output is ended and what it then still fails with is awaited; standard output stays open.
 * @returns how many lines were written.
 * @throws TransferStalledError the store could not be read for a long time.
 */
export async function exportLines(
  options: ExportOptions,
  output: Writable,
  ending: "end" | "leave open",
): Promise<number> {
  const count = { lines: 0 };
  await pipeline(pagesOf(options, count), output, { signal: options.signal, end: ending === "end" });
  return count.lines;
}

/**
 * Like `exportLines`, into a file that appears under its name only once it is complete and on the disk. A name that
 * ends in `.gz` is compressed. Only its owner can read it.
 */
export async function exportFile(options: ExportOptions, path: string): Promise<number> {
  const partial = `${path}.partial`;
  const { signal } = options;
  const count = { lines: 0 };
  const pages = pagesOf(options, count);
  // One that a crash left behind would keep the mode that it has.
  await rm(partial, { force: true });
  // `flush`: synced before it is closed, so that the name never stands for less than the whole content.
  const file = createWriteStream(partial, { flush: true, mode: PRIVATE_FILE_MODE });
  try {
    if (path.endsWith(".gz")) await pipeline(pages, createGzip(), file, { signal });
    else await pipeline(pages, file, { signal });
    await renameDurably(partial, path);
    return count.lines;
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** The lines of the store's pages as a stream that holds one page at a time. */
function pagesOf(options: ExportOptions, count: { lines: number }): Readable {
  return Readable.from(textOfPages(options, count), { highWaterMark: 1 });
}

async function* textOfPages(options: ExportOptions, count: { lines: number }): AsyncGenerator<string> {
  let after: ScanPosition | null = null;
  do {
    const page: ScanPage = await scan(options, after);
    const nowMs = options.clock.nowMs();
    let text = "";
    for (const view of page.views) {
      if (isExpired(view, nowMs, options.retentionMs)) continue;
      text += `${encodeLine(view)}\n`;
      count.lines++;
    }
    if (text !== "") yield text;
    options.onProgress(count.lines);
    after = page.next;
  } while (after !== null);
}

/** One page, asked for again while the store cannot be read. */
async function scan(options: ExportOptions, after: ScanPosition | null): Promise<ScanPage> {
  const watch = createStallWatch(options.stallMsMax ?? STALL_MS_MAX, options.clock);
  const backoff = createBackoff();
  for (;;) {
    try {
      return await options.store.scan(after, PAGE_VIEWS);
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error;
      watch.stuck();
      if (watch.isOver()) {
        throw new TransferStalledError(
          `the store could not be read for ${watch.stallSeconds} s (${error.message})`,
        );
      }
    }
    await backoff.wait(options.signal);
  }
}
