import { closeSync, openSync } from "node:fs";

/** Storing a view of a post with this prefix kills the process, as a bug in a driver's native part would. */
export const KILLS = "kills-its-worker";
/** The first process that stores a view of it stops (SIGSTOP), as one does whose host swaps. */
export const FREEZES = "freezes-its-worker";

/** @param onceFile made by the first process that freezes. */
export function strike(postId: string, onceFile: string): void {
  if (postId.startsWith(KILLS)) process.kill(process.pid, "SIGKILL");
  if (!postId.startsWith(FREEZES)) return;
  try {
    closeSync(openSync(onceFile, "wx"));
  } catch {
    return;
  }
  process.kill(process.pid, "SIGSTOP");
}
