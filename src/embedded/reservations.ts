import type { DatabaseSync } from "node:sqlite";
import type { Clock } from "../domain/time.ts";
import type { PullRequest } from "../ports/impression-queue.ts";
import type { Leases, QueuedMessage } from "./leases.ts";

/**
 * In-flight messages. Pulls stop there, as they do on JetStream (`max_ack_pending`): it bounds what one outage of the store can
 * take out of the queue into this process. Nacked messages do not count: messages that no worker can complete (say, while the
 * dead letters are full) must not keep the others waiting.
 */
const IN_FLIGHT_MESSAGES_MAX = 10_000;
/**
 * Nacked messages that wait. They live in the table; here each takes a place in a heap, 80 bytes, so that so many take 20 MB.
 * Above it no new message is delivered before some of them are acked.
 */
const NACKED_MESSAGES_MAX_DEFAULT = 250_000;

/** Which messages are taken next. */
export interface Reservations {
  /**
   * Takes the next messages out of every pull's reach, all in one go: nothing else runs in between. Nacked messages
   * and untouched ones take turns, so that neither waits for the other, however small the pulls and however many they
   * are.
   *
   * @throws what the read threw; nothing is reserved then.
   */
  next(request: Pick<PullRequest, "maxMessages" | "maxBytes">): QueuedMessage[];
}

/**
 * A message at or below the frontier was delivered before and stands among the leases; those above it were not delivered
 * since this process started. So a pull never searches: it takes what the leases set free and what lies at the frontier,
 * in turns.
 */
export function createReservations(deps: {
  readonly reader: DatabaseSync;
  readonly leases: Leases;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** NACKED_MESSAGES_MAX_DEFAULT unless given. */
  readonly returnedMessagesMax?: number | undefined;
}): Reservations {
  const { leases, clock, returnedMessagesMax = NACKED_MESSAGES_MAX_DEFAULT } = deps;
  const untouched = deps.reader.prepare(
    "SELECT sequence, bytes FROM messages WHERE sequence > ? ORDER BY sequence LIMIT ?",
  );
  let frontier = 0;
  let isTurnOfUntouched = false;

  return {
    next({ maxMessages, maxBytes }) {
      const nowMs = clock.monotonicMs();
      const room = Math.min(maxMessages, IN_FLIGHT_MESSAGES_MAX - leases.heldCount(nowMs));
      const newRoom = Math.max(0, Math.min(room, returnedMessagesMax - leases.nackedCount()));
      const reserved: QueuedMessage[] = [];
      let bytes = 0;
      const rows = untouched.iterate(frontier, newRoom);
      try {
        let fresh = queuedMessage(rows.next());
        while (reserved.length < room) {
          const nacked = leases.peekNacked(nowMs);
          const takesFresh = fresh !== null && (nacked === null || isTurnOfUntouched);
          const message = takesFresh ? fresh : nacked;
          if (message === null) break;
          bytes += message.bytes;
          if (reserved.length > 0 && bytes > maxBytes) break;
          reserved.push(message);
          if (fresh !== null && nacked !== null) isTurnOfUntouched = !isTurnOfUntouched;
          if (takesFresh) {
            leases.reserve(message);
            frontier = message.sequence;
            fresh = queuedMessage(rows.next());
          } else {
            leases.takeNacked();
          }
        }
      } catch (error) {
        // Reserved and forgotten, they would be out of reach until a restart.
        for (const { sequence } of reserved) leases.release(sequence);
        throw error;
      } finally {
        rows.return?.();
      }
      return reserved.sort((a, b) => a.sequence - b.sequence);
    },
  };
}

function queuedMessage({ done, value }: IteratorResult<Record<string, unknown>>): QueuedMessage | null {
  return done === true ? null : { sequence: Number(value.sequence), bytes: Number(value.bytes) };
}
