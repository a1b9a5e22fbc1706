/** Messages of which it is remembered; the one that was remembered first is forgotten. A number each. */
const MESSAGES_MAX = 20_000;

/**
 * Remembers messages whose valid views are all stored, and that went back to the queue for a dead letter alone: while the dead
 * letters are full they come again and again, and there is nothing left to store. In memory: what is forgotten, or comes to
 * another process, is stored once more, which changes nothing.
 */
export interface StoredParts {
  remember(sequence: number): void;
  has(sequence: number): boolean;
  /** The message is settled. */
  forget(sequence: number): void;
}

export function createStoredParts(): StoredParts {
  const sequences = new Set<number>();
  return {
    remember(sequence) {
      sequences.add(sequence);
      if (sequences.size <= MESSAGES_MAX) return;
      const [first] = sequences;
      if (first !== undefined) sequences.delete(first);
    },
    has: (sequence) => sequences.has(sequence),
    forget: (sequence) => void sequences.delete(sequence),
  };
}
