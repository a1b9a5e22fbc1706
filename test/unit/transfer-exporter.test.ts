import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { View } from "../../src/domain/impression.ts";
import { DAY_MS, systemClock } from "../../src/domain/time.ts";
import { StoreRefusedError, StoreUnavailableError } from "../../src/ports/errors.ts";
import type { ScanPage, ScanPosition } from "../../src/ports/impression-store.ts";
import { TransferStalledError } from "../../src/transfer/errors.ts";
import { type ExportOptions, exportFile, exportLines } from "../../src/transfer/exporter.ts";
import { encodeLine } from "../../src/transfer/line-codec.ts";

const NOW_MS = Date.parse("2026-11-22T12:00:00Z");
const RETENTION_MS = 90 * DAY_MS;
const PAGES = 50;
const VIEWS_IN_PAGE = 100;

const viewOf = (page: number, index: number): View => ({
  userId: `u${page}`,
  postId: `p${index}`,
  viewedAtMs: NOW_MS - page * 1_000 - index,
  receivedAtUs: NOW_MS * 1_000 + index,
  surface: null,
  position: index,
  dwellMs: null,
});

/** Page `n` of 50 pages; the position is the page's number. */
function pageAt(after: ScanPosition | null): ScanPage {
  const page = after === null ? 0 : Number(after);
  const views = Array.from({ length: VIEWS_IN_PAGE }, (_, index) => viewOf(page, index));
  return { views, next: page + 1 < PAGES ? String(page + 1) : null };
}

const WHOLE = Array.from({ length: PAGES }, (_, page) => pageAt(page === 0 ? null : String(page)).views)
  .flat()
  .map((view) => `${encodeLine(view)}\n`)
  .join("");

const optionsFor = (
  scan: (after: ScanPosition | null) => ScanPage | Promise<ScanPage>,
  others: Partial<ExportOptions> = {},
): ExportOptions => ({
  store: { scan: async (after) => scan(after) },
  clock: { ...systemClock, nowMs: () => NOW_MS },
  retentionMs: RETENTION_MS,
  onProgress: () => undefined,
  signal: new AbortController().signal,
  ...others,
});

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "impressions-export-"));
  path = join(folder, "views.ndjson");
});
afterEach(() => rm(folder, { recursive: true }));

test("writes every page, plain or compressed, and nothing beside the file", async () => {
  expect(await exportFile(optionsFor(pageAt), path)).toBe(PAGES * VIEWS_IN_PAGE);
  expect(await readFile(path, "utf8")).toBe(WHOLE);
  await exportFile(optionsFor(pageAt), `${path}.gz`);
  expect(gunzipSync(await readFile(`${path}.gz`)).toString()).toBe(WHOLE);
  expect(await readdir(folder)).toHaveLength(2);
});

test("leaves out what is older than the retention by now", async () => {
  const old = { ...viewOf(0, 0), viewedAtMs: NOW_MS - RETENTION_MS };
  const young = { ...viewOf(0, 1), viewedAtMs: NOW_MS - RETENTION_MS + 1 };
  expect(
    await exportFile(
      optionsFor(() => ({ views: [old, young], next: null })),
      path,
    ),
  ).toBe(1);
  expect(await readFile(path, "utf8")).toBe(`${encodeLine(young)}\n`);
});

test("reads the store only as fast as the output takes", async () => {
  let scanned = 0;
  let written = 0;
  let ahead = 0;
  const slow = new Writable({
    decodeStrings: false,
    highWaterMark: 1,
    write(_chunk, _encoding, done) {
      ahead = Math.max(ahead, scanned - written);
      written++;
      setImmediate(done);
    },
  });
  const counting = (after: ScanPosition | null) => {
    scanned++;
    return pageAt(after);
  };
  await exportLines(optionsFor(counting), slow, "leave open");
  expect(written).toBe(PAGES);
  expect(ahead).toBeLessThanOrEqual(4);
  expect(slow.writableEnded).toBe(false);
});

test("an output that fails only when it is ended is no success", async () => {
  const full = new Writable({
    write: (_chunk, _encoding, done) => done(),
    final: (done) => setImmediate(done, new Error("no space left")),
  });
  await expect(exportLines(optionsFor(pageAt), full, "end")).rejects.toThrow("no space left");
});

test.each(["views.ndjson", "views.ndjson.gz"])("only its owner can read %s", async (name) => {
  const file = join(folder, name);
  // What a crash left behind.
  await writeFile(`${file}.partial`, "old", { mode: 0o644 });
  await exportFile(optionsFor(pageAt), file);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test("asks again while the store is unavailable, and misses nothing", async () => {
  let calls = 0;
  const flaky = (after: ScanPosition | null) => {
    calls++;
    if (calls % 20 === 0) throw new StoreUnavailableError("timed out");
    return pageAt(after);
  };
  await exportFile(optionsFor(flaky), path);
  expect(await readFile(path, "utf8")).toBe(WHOLE);
});

test.each([
  ["the store stays unavailable", new StoreUnavailableError("gone"), TransferStalledError],
  ["there is a bug", new StoreRefusedError("what"), StoreRefusedError],
])("where %s, the file that was there stays and no part is left", async (_, error, expected) => {
  await writeFile(path, "precious");
  const failing = (after: ScanPosition | null) => {
    if (after === "30") throw error;
    return pageAt(after);
  };
  await expect(exportFile(optionsFor(failing, { stallMsMax: 1 }), path)).rejects.toThrow(expected);
  expect(await readFile(path, "utf8")).toBe("precious");
  expect(await readdir(folder)).toHaveLength(1);
});

test("a stop leaves no part either", async () => {
  const stop = new AbortController();
  const stopping = (after: ScanPosition | null) => {
    if (after === "30") stop.abort();
    return pageAt(after);
  };
  await expect(exportFile(optionsFor(stopping, { signal: stop.signal }), path)).rejects.toThrow("abort");
  expect(await readdir(folder)).toEqual([]);
});
