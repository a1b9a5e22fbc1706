import type { Delivery } from "../ports/impression-queue.ts";

/**
 * Counts, for each message of a pull, the parts that must still be stored or dead-lettered, and acks or naks the message as soon
 * as its last part has ended: it does not wait for the rest of the pull.
 *
 *   open ----> every part succeeded ----> acked
 *     |
 *     +------> a part failed, or `nakOpen` ----> nacked
 */
export interface AckTracker {
  /** One more part of this message is on its way. Expect all parts before the first one ends. */
  expect(delivery: Delivery): void;
  succeeded(delivery: Delivery): void;
  failed(delivery: Delivery): void;
  /** Acks the messages without any part. Call once, when every part is expected. */
  begin(): void;
  /** Messages neither acked nor nacked yet, for the queue's `extend`. */
  open(): readonly Delivery[];
  /** Naks every open message, whatever becomes of its parts. */
  nakOpen(): void;
  /** Resolves when no message is open and the queue has taken every ack and nak. */
  drained(): Promise<void>;
}

export function createAckTracker(
  deliveries: readonly Delivery[],
  queue: {
    readonly ack: (done: Delivery[]) => Promise<void>;
    readonly nak: (failed: Delivery[]) => Promise<void>;
  },
): AckTracker {
  const open = new Map(deliveries.map((delivery) => [delivery, { parts: 0, failed: false }]));
  const drained = Promise.withResolvers<void>();
  let acked: Delivery[] = [];
  let nacked: Delivery[] = [];
  let flushScheduled = false;
  let flushing: Promise<void> = Promise.resolve();

  function end(delivery: Delivery, failed: boolean): void {
    open.delete(delivery);
    (failed ? nacked : acked).push(delivery);
    if (flushScheduled) return;
    flushScheduled = true;
    // Messages that end in the same turn share one call.
    setImmediate(flush);
  }

  function flush(): void {
    flushScheduled = false;
    const [done, failed] = [acked, nacked];
    acked = [];
    nacked = [];
    const telling = [flushing];
    if (done.length > 0) telling.push(queue.ack(done));
    if (failed.length > 0) telling.push(queue.nak(failed));
    flushing = Promise.all(telling).then(() => undefined);
    if (open.size === 0) flushing.then(drained.resolve, drained.reject);
  }

  function partEnded(delivery: Delivery, failed: boolean): void {
    const state = open.get(delivery);
    if (state === undefined) return;
    state.parts--;
    state.failed ||= failed;
    if (state.parts === 0) end(delivery, state.failed);
  }

  return {
    expect(delivery) {
      const state = open.get(delivery);
      if (state !== undefined) state.parts++;
    },
    succeeded: (delivery) => partEnded(delivery, false),
    failed: (delivery) => partEnded(delivery, true),
    begin() {
      if (open.size === 0) drained.resolve();
      for (const [delivery, { parts }] of open) if (parts === 0) end(delivery, false);
    },
    open: () => [...open.keys()],
    nakOpen() {
      for (const delivery of [...open.keys()]) end(delivery, true);
    },
    drained: () => drained.promise,
  };
}
