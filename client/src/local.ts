import type { ImpressionStorage, OwnerLocks, Platform } from "./platform.ts";

/** The parts of a platform that are the same everywhere. */
export function commonPlatform(): Pick<Platform, "wallMs" | "monotonicMs" | "timer" | "random"> {
  return {
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    timer(delayMs, task) {
      const timer: unknown = setTimeout(task, delayMs);
      // In Node a timer would keep the process alive.
      (timer as { unref?: () => void }).unref?.();
      return () => clearTimeout(timer as number);
    },
    random: Math.random,
  };
}

/** Stores views in memory, as long as the process lives. */
export function memoryStorage(): ImpressionStorage {
  const values = new Map<string, string>();
  return {
    keys: () => [...values.keys()],
    get: (key) => values.get(key) ?? null,
    set: (key, value) => void values.set(key, value),
    remove: (key) => void values.delete(key),
  };
}

/** Owner names of this process's instances. */
const living = new Set<string>();

/** Locks for a storage that only this process uses: an owner of any other process is dead. */
export const processLocks: OwnerLocks = {
  acquire(owner) {
    if (living.has(owner)) return null;
    living.add(owner);
    return () => void living.delete(owner);
  },
};
