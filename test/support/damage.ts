import { closeSync, openSync, statSync, writeSync } from "node:fs";

const PAGE_BYTES = 4_096;
/** The first page holds the file's head and its schema. */
const HEAD_PAGES = 1;

/** Overwrites a database of ours with zeros, all but its head: what a failing disk or a stray program may do to it. */
export function damageDatabase(file: string): void {
  const pages = statSync(file).size / PAGE_BYTES;
  const zeros = new Uint8Array(PAGE_BYTES);
  const handle = openSync(file, "r+");
  try {
    for (let page = HEAD_PAGES; page < pages; page++)
      writeSync(handle, zeros, 0, PAGE_BYTES, page * PAGE_BYTES);
  } finally {
    closeSync(handle);
  }
}
