import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type Checkpoint,
  loadCheckpoint,
  removeCheckpoint,
  saveCheckpoint,
  whyNotResumable,
} from "../../src/transfer/checkpoint.ts";
import { TransferError } from "../../src/transfer/errors.ts";

const checkpoint: Checkpoint = {
  file: { bytes: 12_345, headSha256: "ab".repeat(32) },
  beforeSha256: "ef".repeat(32),
  target: "embedded, /data",
  targetIdentity: "one",
  queueSequence: 17,
  rejects: "dump.rejects.ndjson",
  progress: {
    offset: 1_000,
    line: 12,
    counters: { lines: 11, accepted: 8, old: 1, rejected: { INVALID_FIELD: 2 } },
    rejectsBytes: 300,
  },
};

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "impressions-checkpoint-"));
  path = join(folder, "dump.import-checkpoint.json");
});
afterEach(() => rm(folder, { recursive: true }));

test("the newest saved checkpoint is loaded, and no other file stays", async () => {
  await saveCheckpoint(path, checkpoint);
  const later = { ...checkpoint, queueSequence: 18 };
  await saveCheckpoint(path, later);
  expect(await loadCheckpoint(path)).toEqual(later);
  expect(await readdir(folder)).toHaveLength(1);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await removeCheckpoint(path);
  await removeCheckpoint(path);
  expect(await loadCheckpoint(path)).toBeNull();
});

test.each([
  ["somebody's file", "dear diary"],
  ["an empty file", ""],
  ["other JSON", '{"progress":{"offset":5}}'],
  ["another version", JSON.stringify({ importCheckpoint: 99, ...checkpoint })],
])("%s is refused and left alone", async (_, content) => {
  await writeFile(path, content);
  await expect(loadCheckpoint(path)).rejects.toThrow(TransferError);
  expect(await readFile(path, "utf8")).toBe(content);
});

test("an import goes on only with the same file, into the same engine, whose queue has not gone back", () => {
  expect(whyNotResumable(checkpoint, checkpoint)).toBeNull();
  expect(whyNotResumable(checkpoint, { ...checkpoint, queueSequence: 99 })).toBeNull();
  const { file } = checkpoint;
  expect(whyNotResumable(checkpoint, { ...checkpoint, file: { ...file, bytes: 5 } })).toContain("file");
  expect(whyNotResumable(checkpoint, { ...checkpoint, file: { ...file, headSha256: "cd" } })).toContain(
    "file",
  );
  expect(whyNotResumable(checkpoint, { ...checkpoint, beforeSha256: "cd" })).toContain("file");
  expect(whyNotResumable(checkpoint, { ...checkpoint, targetIdentity: "another" })).toContain("data");
  expect(whyNotResumable(checkpoint, { ...checkpoint, target: "embedded, /other" })).toContain(
    "another engine",
  );
  expect(whyNotResumable(checkpoint, { ...checkpoint, queueSequence: 16 })).toContain("data");
});
