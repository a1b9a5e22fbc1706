import type { Delivery } from "../ports/impression-queue.ts";

/**
 * In-flight messages of one process. Under half of what the queue delivers to all processes together (10,000), so that one
 * process with problems does not take everything.
 */
const MESSAGES_MAX = 4_000;
/**
 * Their bytes. In memory a message becomes some twenty times its bytes while it is worked on: 8 MiB are 160 MB then.
 */
const BYTES_MAX = 8 * 1024 * 1024;
/** Bytes of the newest pulls of all loops together; the other half is for what earlier pulls have left in flight. */
const PULLED_BYTES_MAX = BYTES_MAX / 2;
/** A pull that could take less than this share of what it wants waits for more room. */
const WORTHWHILE_SHARE = 1 / 4;

/** What a pull may bring. */
export interface Room {
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/**
 * Counts the messages in flight in this process, and admits a pull only while there is room. Room is
 *
 *   free ----> reserved by `reserve`, for all that a pull may bring ----> held by `take`, for what it brought ----> free by `release`
 *                                                                           (the rest is free at once)
 *
 * A loop without room waits; where half of all room is held, `onFull` sheds what waits for unhealthy partitions.
 */
export interface InFlightBuffer {
  /** Waits for room and reserves it, for one `take`. @returns null where the worker stops first. */
  reserve(): Promise<Room | null>;
  /** What the pull that had the room has brought. */
  take(room: Room, deliveries: readonly Delivery[]): void;
  /** These are acked or nacked. */
  release(deliveries: readonly Delivery[]): void;
  messages(): number;
}

export function createInFlightBuffer(options: {
  readonly loops: number;
  readonly messagesPerPull: number;
  readonly stopping: AbortSignal;
  /**
   * Called when a loop has to wait because earlier pulls left so much in flight: messages that wait for unhealthy partitions
   * can be nacked.
   */
  readonly onFull: () => void;
}): InFlightBuffer {
  const { stopping } = options;
  const wanted: Room = {
    maxMessages: options.messagesPerPull,
    maxBytes: Math.floor(PULLED_BYTES_MAX / options.loops),
  };
  /** What is in flight, and what the pulls that run now may still bring. */
  const held = { messages: 0, bytes: 0 };
  const reserved = { messages: 0, bytes: 0 };
  let freed = Promise.withResolvers<void>();
  stopping.addEventListener("abort", wake, { once: true });

  function wake(): void {
    freed.resolve();
    freed = Promise.withResolvers();
  }

  function roomNow(): Room | null {
    const maxMessages = Math.min(wanted.maxMessages, MESSAGES_MAX - held.messages - reserved.messages);
    const maxBytes = Math.min(wanted.maxBytes, BYTES_MAX - held.bytes - reserved.bytes);
    const isWorthwhile =
      maxMessages >= wanted.maxMessages * WORTHWHILE_SHARE && maxBytes >= wanted.maxBytes * WORTHWHILE_SHARE;
    return isWorthwhile ? { maxMessages, maxBytes } : null;
  }

  return {
    async reserve() {
      while (!stopping.aborted) {
        const room = roomNow();
        if (room !== null) {
          reserved.messages += room.maxMessages;
          reserved.bytes += room.maxBytes;
          return room;
        }
        if (held.messages >= MESSAGES_MAX / 2 || held.bytes >= BYTES_MAX / 2) options.onFull();
        await freed.promise;
      }
      return null;
    },

    take(room, deliveries) {
      reserved.messages -= room.maxMessages;
      reserved.bytes -= room.maxBytes;
      held.messages += deliveries.length;
      held.bytes += bytesOf(deliveries);
      wake();
    },

    release(deliveries) {
      held.messages -= deliveries.length;
      held.bytes -= bytesOf(deliveries);
      wake();
    },

    messages: () => held.messages,
  };
}

function bytesOf(deliveries: readonly Delivery[]): number {
  return deliveries.reduce((sum, { body }) => sum + body.byteLength, 0);
}
