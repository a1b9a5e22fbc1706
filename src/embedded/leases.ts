import { createHeap } from "./heap.ts";

/**
 * Who holds which message, in memory: one process opens the queue, and after its death nobody holds anything. Times
 * are monotonic milliseconds, so that a clock that is set does not end a lease.
 *
 * A message that somebody has had is either held, or returned: given back, or lost by a holder who let his time pass.
 * Returned ones may be many (whatever no worker can settle is given back again and again), so that nothing here walks
 * over all of them.
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
  nak(held: HeldDelivery, dueMs: number): void;
  /** Forgets a held message: it is settled. One that was returned is forgotten when somebody reserves it. */
  settle(sequence: number): void;
  /** The oldest returned message whose delay is over; it stays until `takeReturned`. Null where there is none. */
  peekNacked(nowMs: number): QueuedMessage | null;
  /** Reserves what `peekReturned` showed. */
  takeNacked(): void;
  /** When the next message is returned, or its delay is over; null where none will be by itself. */
  nextDueMs(): number | null;
  /** Messages that nobody holds and somebody has had. */
  nackedCount(): number;
  /** Messages that somebody holds, or that are reserved. */
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

interface HeldMessage extends QueuedMessage {
  /** 0 while it is reserved. */
  deliveries: number;
  untilMs: number;
}

interface DelayedMessage extends QueuedMessage {
  readonly dueMs: number;
}

export function createLeases(): Leases {
  const held = new Map<number, HeldMessage>();
  const delayed = createHeap<DelayedMessage>(({ dueMs }) => dueMs);
  const due = createHeap<QueuedMessage>(({ sequence }) => sequence);
  /** No lease ends before it. A lower bound: it saves most calls the walk over what is held. */
  let noneEndsBeforeMs = Number.POSITIVE_INFINITY;

  /** The entry if it is still in this delivery's hands: a late call must not touch the next holder's lease. */
  function heldBy({ sequence, deliveries }: HeldDelivery): HeldMessage | null {
    const entry = held.get(sequence);
    return entry !== undefined && entry.deliveries === deliveries ? entry : null;
  }

  function holdUntil(entry: HeldMessage, untilMs: number): void {
    entry.untilMs = untilMs;
    noneEndsBeforeMs = Math.min(noneEndsBeforeMs, untilMs);
  }

  function reserve({ sequence, bytes }: QueuedMessage): void {
    held.set(sequence, { sequence, bytes, deliveries: 0, untilMs: Number.POSITIVE_INFINITY });
  }

  /** Moves what is over by now to `due`. */
  function refresh(nowMs: number): void {
    for (let first = delayed.peek(); first !== undefined && first.dueMs <= nowMs; first = delayed.peek()) {
      delayed.pop();
      due.push(first);
    }
    if (nowMs < noneEndsBeforeMs) return;
    noneEndsBeforeMs = Number.POSITIVE_INFINITY;
    for (const entry of held.values()) {
      if (entry.untilMs <= nowMs) {
        held.delete(entry.sequence);
        due.push(entry);
      } else {
        noneEndsBeforeMs = Math.min(noneEndsBeforeMs, entry.untilMs);
      }
    }
  }

  return {
    reserve,

    lease({ sequence, deliveries }, untilMs) {
      const entry = held.get(sequence);
      if (entry === undefined) return;
      entry.deliveries = deliveries;
      holdUntil(entry, untilMs);
    },

    release(sequence) {
      const entry = held.get(sequence);
      if (entry === undefined) return;
      held.delete(sequence);
      due.push(entry);
    },

    extend(delivery, untilMs) {
      const entry = heldBy(delivery);
      if (entry !== null) holdUntil(entry, untilMs);
    },

    nak(delivery, dueMs) {
      const entry = heldBy(delivery);
      if (entry === null) return;
      held.delete(entry.sequence);
      delayed.push({ sequence: entry.sequence, bytes: entry.bytes, dueMs });
    },

    settle(sequence) {
      held.delete(sequence);
    },

    peekNacked(nowMs) {
      refresh(nowMs);
      return due.peek() ?? null;
    },

    takeNacked() {
      const message = due.pop();
      if (message !== undefined) reserve(message);
    },

    nextDueMs() {
      const nextMs = Math.min(noneEndsBeforeMs, delayed.peek()?.dueMs ?? Number.POSITIVE_INFINITY);
      return nextMs === Number.POSITIVE_INFINITY ? null : nextMs;
    },

    nackedCount: () => delayed.size() + due.size(),

    heldCount(nowMs) {
      refresh(nowMs);
      return held.size;
    },
  };
}
