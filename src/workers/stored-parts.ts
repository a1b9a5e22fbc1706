import type { Delivery } from "../ports/impression-queue.ts";

/** Messages of which it is remembered; the one that was remembered first is forgotten. Two numbers each. */
const MESSAGES_MAX = 20_000;

/**
 * Remembers messages whose valid views are all stored, and that went back to the queue for a dead letter alone: while the dead
 * dead letters are full they come again and again, and there is nothing left to store. In memory: what is forgotten, or comes to
 * another process, is stored once more, which changes nothing.
 */
export interface StoredParts {
  remember(delivery: Delivery): void;
  has(delivery: Delivery): boolean;
  /** The message is settled. */
  forget(delivery: Delivery): void;
}

export function createStoredParts(): StoredParts {
  // By both: a stream that was deleted and made anew counts from 1 again, and what it brings is stored nowhere.
  const publishedAtMs = new Map<number, number>();
  return {
    remember(delivery) {
      publishedAtMs.set(delivery.sequence, delivery.publishedAtMs);
      if (publishedAtMs.size <= MESSAGES_MAX) return;
      const [first] = publishedAtMs.keys();
      if (first !== undefined) publishedAtMs.delete(first);
    },
    has: (delivery) => publishedAtMs.get(delivery.sequence) === delivery.publishedAtMs,
    forget: (delivery) => void publishedAtMs.delete(delivery.sequence),
  };
}
