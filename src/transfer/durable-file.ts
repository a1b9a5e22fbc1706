import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Replaces a file by a new content that is on the disk when this resolves: after a crash the file holds the old
 * content or the new one, never a part.
 */
export async function replaceFile(path: string, content: string): Promise<void> {
  const partial = `${path}.partial`;
  const file = await open(partial, "w");
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await renameDurably(partial, path);
}

/** Renames a file that is synced already, and syncs the folder, without which the new name may be lost in a crash. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  // Windows cannot open a folder; it has no call for this either.
  if (process.platform === "win32") return;
  const folder = await open(dirname(to), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
