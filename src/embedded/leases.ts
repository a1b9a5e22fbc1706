import { createHeap } from "./heap.ts";

/**
 * The leases on messages, in memory: one process opens the queue, and its death ends all leases. Times are monotonic
 * milliseconds, so that a clock that is set does not end a lease.
 *
 * A message that was delivered is either leased, or nacked (a lease that ran out counts as a nak). Nacked messages may be many
 * (a message that no worker can complete is nacked again and again), so nothing here walks over all of them.
 */
export interface Leases {
  /** Takes a message out of every pull's reach until `lease` or `release`. */
  reserve(message: QueuedMessage): void;
  /** Leases a reserved message to the receiver of this delivery. */
  lease(held: HeldDelivery, untilMs: number): void;
  /** Ends a reservation: the message can be delivered at once. */
  release(sequence: number): void;
  /** Prolongs the lease, if this delivery still has it. */
  extend(held: HeldDelivery, untilMs: number): void;
  /** Ends the lease and delays the next delivery, if this delivery still has it. */
  nak(held: HeldDelivery, dueMs: number): void;
  /** Forgets a leased message: it is acked. A nacked one is forgotten at its reservation. */
  complete(sequence: number): void;
  /** The oldest nacked message whose delay is over; it stays until `takeNacked`. Null where there is none. */
  peekNacked(nowMs: number): QueuedMessage | null;
  /** Reserves the message that `peekNacked` showed. */
  takeNacked(): void;
  /** When the next lease runs out or the next delay is over; null where neither will happen. */
  nextDueMs(): number | null;
  /** Messages that were delivered before and are not leased. */
  nackedCount(): number;
  /** Messages that are leased or reserved. */
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

    complete(sequence) {
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
