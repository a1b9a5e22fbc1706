/** What this process holds for callers, such as unfinished bodies: all holdings add to one sum, and the sum is bounded. */
export interface Holdings<Holder> {
  /** Begins a holding of no bytes yet. It costs nothing before its first bytes. */
  open(holder: Holder): Holding;
  /** Cuts off holdings older than `msMax`. To be called periodically. */
  expire(): void;
  bytes(): number;
}

/** What one holder holds. */
export interface Holding {
  /**
   * Adds bytes. Where the sum exceeds `bytesMax`, the oldest holdings are cut off, this one included if no older one is left:
   * fast callers are not rejected because of slow ones.
   */
  add(bytes: number): void;
  /** Ends the holding; a later `add` begins a new one. Repeated calls do nothing. */
  release(): void;
}

/**
 * The holdings are a ring of linked entries in the order in which they began. A Map would be less code, and was measured: its
 * table is made anew every few dozen releases, and V8 lets each old table point to the next one, so that one that has come
 * into the old generation keeps all later ones alive, with every request that they ever held, until the next full collection.
 * At 28,000 requests a second minor collections took six times as long. Therefore an entry that leaves also drops its links.
 *
 * @param cutOff is called once for a holder that must stop; its holding is released already.
 */
export function createHoldings<Holder>(options: {
  readonly bytesMax: number;
  readonly msMax: number;
  readonly monotonicMs: () => number;
  readonly cutOff: (holder: Holder) => void;
}): Holdings<Holder> {
  const { bytesMax, msMax, monotonicMs, cutOff } = options;
  let sum = 0;

  class Entry implements Holding {
    /** Null where it holds nothing. */
    previous: Entry | null = null;
    next: Entry | null = null;
    sinceMs = 0;
    private held = 0;
    private readonly holder: Holder | null;

    constructor(holder: Holder | null) {
      this.holder = holder;
    }

    add(bytes: number): void {
      if (this.next === null) this.link();
      this.held += bytes;
      sum += bytes;
      while (sum > bytesMax && ring.next !== null && ring.next !== ring) ring.next.end();
    }

    release(): void {
      const { previous, next } = this;
      if (previous === null || next === null) return;
      previous.next = next;
      next.previous = previous;
      this.previous = null;
      this.next = null;
      sum -= this.held;
      this.held = 0;
    }

    end(): void {
      this.release();
      if (this.holder !== null) cutOff(this.holder);
    }

    private link(): void {
      this.sinceMs = monotonicMs();
      const last = ring.previous ?? ring;
      this.previous = last;
      this.next = ring;
      last.next = this;
      ring.previous = this;
    }
  }

  /** Before the first and behind the last. */
  const ring = new Entry(null);
  ring.previous = ring;
  ring.next = ring;

  return {
    open: (holder) => new Entry(holder),
    expire() {
      const untilMs = monotonicMs() - msMax;
      for (let oldest = ring.next; oldest !== null && oldest !== ring; oldest = ring.next) {
        if (oldest.sinceMs > untilMs) return;
        oldest.end();
      }
    },
    bytes: () => sum,
  };
}
