import { basename } from "node:path";
import { isDamage, messageOf } from "./database.ts";

/**
 * Watches for errors that mean that a database file, or its disk, is damaged. SQLite meets a damaged page only where a read or a write
 * comes by it: one read fails, and the next one, elsewhere in the file, answers as if nothing were wrong. From the first
 * damage on nothing of the file is used, until the process is started again: no answer is better than a part of one, and what
 * is written to such a file may be lost.
 */
export interface DamageGuard {
  /** Why nothing of the file is used any more; null while nothing is known against it. */
  reason(): string | null;
  /** Looks at what SQLite threw. */
  notice(error: unknown): void;
  /** @param said what SQLite said of the damage where it was met elsewhere, in the writer's thread. */
  damaged(said: string): void;
}

/** @param onDamage called once, with a line that names the file and says what to do. */
export function createDamageGuard(
  file: string,
  onDamage: (reason: string) => void = () => undefined,
): DamageGuard {
  let reason: string | null = null;

  function damaged(said: string): void {
    if (reason !== null) return;
    reason = `${file} or its disk is damaged (${said}): stop the service, look at the disk, and restore ${basename(file)} from a backup`;
    onDamage(reason);
  }

  return {
    reason: () => reason,
    notice(error) {
      if (isDamage(error)) damaged(messageOf(error));
    },
    damaged,
  };
}
