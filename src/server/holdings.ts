/** What callers make this process hold for them: each adds to one sum, and the sum is bounded. */
export interface Holdings<Holder> {
  /**
   * So many bytes more are held for it. Where all together hold more than `bytesMax`, those that have held longest give way, this
   * one included where nobody else is left: who is quick is not refused for those who are slow.
   */
  add(holder: Holder, bytes: number): void;
  /** Nothing is held for it any more. Repeated calls do nothing. */
  release(holder: Holder): void;
  /** Whoever has held for longer than `msMax` gives way. To be called from time to time. */
  expire(): void;
  bytes(): number;
}

/** @param giveWay is called once for a holder that must stop; what it held is released already. */
export function createHoldings<Holder>(options: {
  readonly bytesMax: number;
  readonly msMax: number;
  readonly monotonicMs: () => number;
  readonly giveWay: (holder: Holder) => void;
}): Holdings<Holder> {
  const { bytesMax, msMax, monotonicMs, giveWay } = options;
  // In the order in which they began.
  const held = new Map<Holder, { bytes: number; readonly sinceMs: number }>();
  let sum = 0;

  function release(holder: Holder): void {
    const holding = held.get(holder);
    if (holding === undefined) return;
    held.delete(holder);
    sum -= holding.bytes;
  }

  function end(holder: Holder): void {
    release(holder);
    giveWay(holder);
  }

  return {
    add(holder, bytes) {
      const holding = held.get(holder);
      if (holding === undefined) held.set(holder, { bytes, sinceMs: monotonicMs() });
      else holding.bytes += bytes;
      sum += bytes;
      if (sum <= bytesMax) return;
      for (const oldest of held.keys()) {
        if (sum <= bytesMax) return;
        end(oldest);
      }
    },
    release,
    expire() {
      const untilMs = monotonicMs() - msMax;
      for (const [oldest, { sinceMs }] of held) {
        if (sinceMs > untilMs) return;
        end(oldest);
      }
    },
    bytes: () => sum,
  };
}
