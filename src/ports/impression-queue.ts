import type { Attempts } from "./attempts.ts";
import type { DeadLetters } from "./dead-letters.ts";

/**
 * The durable work queue between the API and the workers.
 *
 * Promises, held by test/contract/queue on every adapter:
 * - What `publish` resolved for is durable: it survives the death of every process at any moment.
 * - A published message is delivered until it is acknowledged, at least once, to one puller at a time.
 * - A full queue refuses the new message; it never drops an old one.
 * - After `close`, every call rejects with QueueUnavailableError.
 */
export interface ImpressionQueue {
  /** Name of the stream; with a sequence it identifies a message for ever. */
  readonly stream: string;
  readonly deadLetters: DeadLetters;
  readonly attempts: Attempts;
  /** How long a puller holds a message before it is delivered again, unless it extends. */
  readonly ackWaitMs: number;

  /**
   * Stores a message and resolves once it is durable. Publishing the same id again within the duplicate window
   * (2 minutes) stores nothing and resolves all the same. So it does over a restart of the caller. Over a restart of the
   * engine's own server it does so only while the message is unacked: the id of a acked one may be forgotten, and the
   * message is then stored once more. Publishers must be able to bear that; storing a view twice changes nothing.
   *
   * @throws QueueFullError the byte limit is reached; nothing is stored.
   * @throws QueueUnavailableError no confirmation; the message may be stored. Publish again with the same id.
   */
  publish(message: OutgoingMessage): Promise<void>;

  /**
   * Takes messages that are not leased, oldest first, and leases them to the caller for `ackWaitMs`. Waits up to
   * `waitMs` for the first one; resolves with an empty list when there is none or `signal` aborts.
   *
   * @throws QueueUnavailableError back off and pull again.
   */
  pull(request: PullRequest): Promise<Delivery[]>;

  /** Removes messages for good. An ack of a message that was acked before, or delivered again since, does no harm. */
  ack(deliveries: readonly Delivery[]): Promise<void>;

  /** Gives messages back; they are delivered again after `delayMs`. */
  nak(deliveries: readonly Delivery[], delayMs: number): Promise<void>;

  /** Tells that the work goes on: holds the messages for another `ackWaitMs` from now. */
  extend(deliveries: readonly Delivery[]): Promise<void>;

  /**
   * Tells this queue from every other, also from one that was made anew under the same name. Stays over restarts;
   * opaque.
   */
  identity(): Promise<string>;

  /** Sequence of the newest stored message; 0 where there never was one. */
  newestSequence(): Promise<number>;

  /** Whether every message up to and including this sequence is acked. */
  isAckedThrough(sequence: number): Promise<boolean>;

  /** As ImpressionStore.scrub, for messages that are acked and dead letters that were removed. @throws QueueUnavailableError */
  scrub(): Promise<void>;

  stats(): Promise<QueueStats>;

  /** Whether the queue can be reached now, and why not; for readiness, never throws. */
  health(): Promise<Health>;

  /** Releases everything. Repeated calls wait for the first. */
  close(): Promise<void>;
}

export interface OutgoingMessage {
  /** Unique for the content; kept over retries of one publish. */
  readonly id: string;
  /** See domain/queue-message. */
  readonly body: string;
}

export interface PullRequest {
  /** At least 1. */
  readonly maxMessages: number;
  /** The pull stops before the message that would exceed it, but always takes one. */
  readonly maxBytes: number;
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/** One message in the hands of a worker. */
export interface Delivery {
  /** Its place in the stream: positive, increasing, never used again. */
  readonly sequence: number;
  readonly body: Uint8Array;
  /** How often it has been delivered, this time included: 1 at first. Rises for naks and crashes alike. */
  readonly deliveries: number;
  readonly publishedAtMs: number;
}

export interface QueueStats {
  /** Messages stored and not yet acked, those in flight included. */
  readonly pending: number;
  /** Messages that a worker holds now. */
  readonly inFlight: number;
  /** Age of the oldest unacked message; 0 where there is none. */
  readonly oldestPendingSeconds: number;
  readonly bytes: number;
  readonly limitBytes: number;
  /** Why workers get no messages, or too few at a time, though the queue answers; null while they flow. */
  readonly notDelivering: string | null;
}

export type Health =
  | {
      readonly healthy: true;
      /** Of a queue: see QueueStats. Absent while messages flow. */
      readonly notDelivering?: string;
    }
  | {
      readonly healthy: false;
      readonly reason: string;
      /** It does not pass by itself: an operator has to mend it and to start the process again. */
      readonly lasting?: true;
    };
