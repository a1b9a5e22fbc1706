import type { ImpressionStorage, OwnerLocks, Platform } from "./platform.ts";

/** What is the same wherever JavaScript runs. */
export function commonPlatform(): Pick<Platform, "wallMs" | "monotonicMs" | "timer" | "random"> {
  return {
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    timer(delayMs, task) {
      const timer: unknown = setTimeout(task, delayMs);
      // In Node a timer would keep the process from ending.
      (timer as { unref?: () => void }).unref?.();
      return () => clearTimeout(timer as number);
    },
    random: Math.random,
  };
}

/** Keeps views as long as the process lives. */
export function memoryStorage(): ImpressionStorage {
  const values = new Map<string, string>();
  return {
    keys: () => [...values.keys()],
    get: (key) => values.get(key) ?? null,
    set: (key, value) => void values.set(key, value),
    remove: (key) => void values.delete(key),
  };
}

/** Names that live in this process. */
const living = new Set<string>();

/** For a storage that only this process uses: an owner that is not alive here is dead. */
export const processLocks: OwnerLocks = {
  acquire(owner) {
    if (living.has(owner)) return null;
    living.add(owner);
    return () => void living.delete(owner);
  },
};
