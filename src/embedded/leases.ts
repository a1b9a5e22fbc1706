/**
 * Who holds which message, in memory: one process opens the queue, and after its death nobody holds anything. Times
 * are monotonic milliseconds, so that a clock that is set does not end a lease.
 */
export interface Leases {
  /** Takes a message out of everybody's reach until `lease` or `release`. */
  reserve(message: QueuedMessage): void;
  /** Holds a reserved message for whoever got this delivery of it. */
  lease(held: HeldDelivery, untilMs: number): void;
  /** Gives a reserved message back at once. */
  release(sequence: number): void;
  /** Holds on, if this delivery still holds the message. */
  extend(held: HeldDelivery, untilMs: number): void;
  /** Gives a message back for later, if this delivery still holds it. */
  giveBack(held: HeldDelivery, dueMs: number): void;
  /** Forgets a message: it is settled. */
  settle(sequence: number): void;
  /** Messages that were held and are free again, oldest first. */
  free(nowMs: number): readonly QueuedMessage[];
  /** When the next message gets free by itself; null where none will. */
  nextFreeMs(): number | null;
  /** Messages that are held or wait for their delay. */
  size(): number;
  /** Messages that somebody holds. */
  heldCount(nowMs: number): number;
}

export interface QueuedMessage {
  readonly sequence: number;
  readonly bytes: number;
}

/** Which delivery of a message: the next one has a greater count, and takes the message from this one. */
export interface HeldDelivery {
  readonly sequence: number;
  readonly deliveries: number;
}

interface Entry extends QueuedMessage {
  state: "reserved" | "held" | "delayed";
  deliveries: number;
  untilMs: number;
}

export function createLeases(): Leases {
  const entries = new Map<number, Entry>();
  /** No entry gets free before it. A lower bound: it saves most pulls the walk over all entries. */
  let nothingFreeBeforeMs = Number.POSITIVE_INFINITY;

  function until(entry: Entry, state: Entry["state"], untilMs: number): void {
    entry.state = state;
    entry.untilMs = untilMs;
    nothingFreeBeforeMs = Math.min(nothingFreeBeforeMs, untilMs);
  }

  /** The entry if it is still in this delivery's hands: a late call must not touch the next holder's lease. */
  function heldBy({ sequence, deliveries }: HeldDelivery): Entry | null {
    const entry = entries.get(sequence);
    return entry !== undefined && entry.state === "held" && entry.deliveries === deliveries ? entry : null;
  }

  return {
    reserve({ sequence, bytes }) {
      entries.set(sequence, {
        sequence,
        bytes,
        state: "reserved",
        deliveries: 0,
        untilMs: Number.POSITIVE_INFINITY,
      });
    },

    lease({ sequence, deliveries }, untilMs) {
      const entry = entries.get(sequence);
      if (entry === undefined) return;
      entry.deliveries = deliveries;
      until(entry, "held", untilMs);
    },

    release(sequence) {
      const entry = entries.get(sequence);
      if (entry !== undefined) until(entry, "delayed", Number.NEGATIVE_INFINITY);
    },

    extend(held, untilMs) {
      const entry = heldBy(held);
      if (entry !== null) until(entry, "held", untilMs);
    },

    giveBack(held, dueMs) {
      const entry = heldBy(held);
      if (entry !== null) until(entry, "delayed", dueMs);
    },

    settle(sequence) {
      entries.delete(sequence);
    },

    free(nowMs) {
      if (nowMs < nothingFreeBeforeMs) return [];
      const free: Entry[] = [];
      nothingFreeBeforeMs = Number.POSITIVE_INFINITY;
      for (const entry of entries.values()) {
        if (entry.untilMs <= nowMs) free.push(entry);
        nothingFreeBeforeMs = Math.min(nothingFreeBeforeMs, entry.untilMs);
      }
      return free.sort((a, b) => a.sequence - b.sequence);
    },

    nextFreeMs: () => (nothingFreeBeforeMs === Number.POSITIVE_INFINITY ? null : nothingFreeBeforeMs),

    size: () => entries.size,

    heldCount(nowMs) {
      let held = 0;
      for (const entry of entries.values()) if (entry.state !== "delayed" && entry.untilMs > nowMs) held++;
      return held;
    },
  };
}
