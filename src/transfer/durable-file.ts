import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Only the user of the command reads the files of a transfer: they hold which user viewed what. */
export const PRIVATE_FILE_MODE = 0o600;

/**
 * Replaces a file by a new content that is on the disk when this resolves: after a crash the file holds the old
 * content or the new one, never a part. Only its owner can read it.
 */
export async function replaceFile(path: string, content: string): Promise<void> {
  const partial = `${path}.partial`;
  const file = await open(partial, "w", PRIVATE_FILE_MODE);
  try {
    // One that a crash left behind keeps the mode that it has.
    await file.chmod(PRIVATE_FILE_MODE);
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
