import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openFileInput } from "../../src/transfer/input.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "impressions-input-"));
  path = join(folder, "dump.ndjson");
});
afterEach(() => rm(folder, { recursive: true }));

/** Identifies the file and the place in it, once the file has this content. */
async function tellsOf(content: Buffer, offset: number): Promise<unknown> {
  await writeFile(path, content);
  const input = await openFileInput(path);
  return { identity: input.identity, before: await input.sha256Before(offset) };
}

test("a change right before the place where an import stopped is noticed, in a file of the same size and start", async () => {
  const content = Buffer.alloc(300_000, "a");
  const changed = Buffer.from(content);
  changed[199_000] = 0x62;
  const told = await tellsOf(content, 200_000);
  expect(await tellsOf(changed, 200_000)).not.toEqual(told);
  expect(await tellsOf(content, 200_000)).toEqual(told);
  // At the start there is nothing before.
  expect((await tellsOf(changed, 0)) as object).toEqual(await tellsOf(content, 0));
});

test("a change anywhere in a compressed file is noticed, though its size and start stay", async () => {
  // Stored, not deflated: the same size, whatever the content.
  const compressed = (content: Buffer) => gzipSync(content, { level: 0 });
  const content = Buffer.alloc(300_000, "a");
  const changed = Buffer.from(content);
  changed[150_000] = 0x62;
  const told = await tellsOf(compressed(content), 200_000);
  const toldOfChanged = await tellsOf(compressed(changed), 200_000);
  expect(toldOfChanged).toMatchObject({ identity: (told as { identity: object }).identity });
  expect(toldOfChanged).not.toEqual(told);
});
