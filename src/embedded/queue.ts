import type { DatabaseSync } from "node:sqlite";
import { setImmediate as turn } from "node:timers/promises";
import { createExpiryClock } from "../domain/guarded-clock.ts";
import { type Clock, DAY_MS } from "../domain/time.ts";
import { QueueFullError, QueueUnavailableError } from "../ports/errors.ts";
import type { Delivery, ImpressionQueue } from "../ports/impression-queue.ts";
import { createDamageGuard, type DamageGuard } from "./damage.ts";
import { messageOf, withReader } from "./database.ts";
import { createDeadLetters } from "./dead-letters.ts";
import { createLeases, type QueuedMessage } from "./leases.ts";
import type { QueueWrites } from "./queue-writes.ts";
import type { ReadTurns } from "./read-turns.ts";
import { createReservations } from "./reservations.ts";
import { startSweeper } from "./sweeper.ts";
import { createWakeUp } from "./wake-up.ts";
import { openWriter, type Writer } from "./writer/writer.ts";

/** How long a message's id is remembered, as the port promises. */
const DUPLICATE_WINDOW_MS = 2 * 60_000;
/** Bodies that a pull reads before it lets the event loop go on. */
const READ_SLICE_BYTES = 512 * 1_024;
const SWEEP_INTERVAL_MS = 10_000;
/** No dead letter was added by then. */
const NO_DEAD_LETTERS_MS = 0;
/** Rows of each kind that one sweeping transaction deletes. */
const SWEEP_ROWS = 500;
/** Rows that an acked or counted delivery changes, for the writer's transactions. */
const DELIVERY_BYTES = 100;

export interface EmbeddedQueueOptions {
  readonly file: string;
  /** What `identity` answers. */
  readonly identity: string;
  readonly queueMaxBytes: number;
  readonly deadLetterMaxBytes: number;
  readonly deadLetterDays: number;
  readonly ackWaitMs: number;
  /** Nacked messages that may wait before no new one is delivered; NACKED_MESSAGES_MAX_DEFAULT unless given. */
  readonly returnedMessagesMax?: number | undefined;
  readonly clock: Clock;
  /** One for all reads of the process. */
  readonly readTurns: ReadTurns;
  /** The writer's thread died: nothing can be published or acked in this process any more. */
  readonly onFatal?: (reason: string) => void;
  /** See DamageGuard. */
  readonly onDamage?: ((reason: string) => void) | undefined;
}

export interface EmbeddedQueue extends ImpressionQueue {
  /** Deletes what is out of date now; otherwise a timer does it. */
  sweep(): Promise<void>;
}

/**
 * The queue in one SQLite file. Messages stay in the table until they are acked; which worker has which of them is in memory
 * (leases, reservations).
 *
 * @param options.file a file that `prepareDatabase` has brought up to date.
 */
export async function openEmbeddedQueue(options: EmbeddedQueueOptions): Promise<EmbeddedQueue> {
  const guard = createDamageGuard(options.file, options.onDamage);
  const writer = await openWriter<QueueWrites>(
    { database: "queue", file: options.file },
    { unavailable, refused: unavailable },
    guard,
    options.onFatal,
  );
  return withReader(writer, options.file, (reader) => createEmbeddedQueue(options, guard, writer, reader));
}

function unavailable(reason: string): QueueUnavailableError {
  return new QueueUnavailableError(`embedded queue: ${reason}`);
}

function createEmbeddedQueue(
  options: EmbeddedQueueOptions,
  guard: DamageGuard,
  writer: Writer<QueueWrites>,
  reader: DatabaseSync,
): EmbeddedQueue {
  const { clock, ackWaitMs, returnedMessagesMax } = options;
  const content = reader.prepare("SELECT body, published_at FROM messages WHERE sequence = ?");
  const oldest = reader.prepare("SELECT sequence, published_at FROM messages ORDER BY sequence LIMIT 1");
  const newest = reader.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'messages'");
  const attempts = reader.prepare("SELECT workers FROM attempts WHERE sequence = ?");
  const totals = reader.prepare("SELECT items, bytes FROM totals WHERE name = 'messages'");

  const leases = createLeases();
  const reservations = createReservations({ reader, leases, clock, returnedMessagesMax });
  const wakeUp = createWakeUp();
  let closing: Promise<void> | null = null;

  /** @throws the port's error where the file is closed or damaged. */
  function assertOpen(): void {
    const reason = closing === null ? guard.reason() : "closed";
    if (reason !== null) throw unavailable(reason);
  }

  /** Runs a read; whatever SQLite throws becomes the port's error. */
  function read<Result>(query: () => Result): Result {
    assertOpen();
    try {
      return query();
    } catch (error) {
      guard.notice(error);
      throw unavailable(messageOf(error));
    }
  }

  /** Counts the deliveries, durably, and only then hands the messages out: a crash must not hide one. */
  async function deliver(reserved: readonly QueuedMessage[]): Promise<Delivery[]> {
    const deliveries: Delivery[] = [];
    try {
      const sequences = reserved.map(({ sequence }) => sequence);
      const counts = await writer.run("deliver", { sequences }, weightOf(sequences));
      let slice = 0;
      for (const [index, { sequence, bytes }] of reserved.entries()) {
        const count = counts[index] ?? null;
        const row = count === null ? undefined : read(() => content.get(sequence));
        if (count === null || row === undefined) {
          // Settled meanwhile, by a worker whose lease had run out.
          leases.complete(sequence);
          continue;
        }
        deliveries.push({
          sequence,
          body: row.body as Uint8Array,
          deliveries: count,
          publishedAtMs: Number(row.published_at),
        });
        slice += bytes;
        if (slice >= READ_SLICE_BYTES) {
          slice = 0;
          await turn();
        }
      }
    } catch (error) {
      for (const { sequence } of reserved) leases.release(sequence);
      wakeUp.all();
      throw error;
    }
    const untilMs = clock.monotonicMs() + ackWaitMs;
    for (const delivery of deliveries) leases.lease(delivery, untilMs);
    return deliveries;
  }

  function nakAll(deliveries: readonly Delivery[]): void {
    for (const { sequence } of deliveries) leases.release(sequence);
    wakeUp.all();
  }

  const expiryClock = createExpiryClock(clock);
  const deadLettersExpiredThroughMs = () => expiryClock.nowMs() - options.deadLetterDays * DAY_MS;

  async function sweep(deadLettersThroughMs: number): Promise<void> {
    const idsForgottenThroughMs = clock.nowMs() - DUPLICATE_WINDOW_MS;
    const input = { idsForgottenThroughMs, deadLettersThroughMs, rows: SWEEP_ROWS };
    while (closing === null && (await writer.run("sweep", input, { rows: SWEEP_ROWS, bytes: 0 })));
  }

  const deadLetters = createDeadLetters({
    reader,
    writer,
    read,
    readInTurn: (query) => options.readTurns.run(() => read(query), { unavailable }),
    assertOpen,
    clock,
    maxBytes: options.deadLetterMaxBytes,
    days: options.deadLetterDays,
  });
  const sweeper = startSweeper(
    () => sweep(expiryClock.isSettled() ? deadLettersExpiredThroughMs() : NO_DEAD_LETTERS_MS),
    SWEEP_INTERVAL_MS,
  );

  return {
    stream: "IMPRESSIONS",
    deadLetters,
    ackWaitMs,
    attempts: {
      read: async (sequence) =>
        read(() => {
          const row = attempts.get(sequence);
          return row === undefined ? [] : (JSON.parse(String(row.workers)) as string[]);
        }),
      async write(sequence, workers) {
        assertOpen();
        await writer.run("noteAttempts", { sequence, workers }, weightOf([sequence]));
      },
    },
    sweep: () => sweep(deadLettersExpiredThroughMs()),

    async publish({ id, body }) {
      assertOpen();
      const bytes = new TextEncoder().encode(body);
      const nowMs = clock.nowMs();
      const input = {
        id,
        body: bytes,
        nowMs,
        forgottenThroughMs: nowMs - DUPLICATE_WINDOW_MS,
        limitBytes: options.queueMaxBytes,
      };
      const outcome = await writer.run("publish", input, { rows: 1, bytes: bytes.byteLength });
      if (outcome === "full") {
        throw new QueueFullError(`embedded queue: ${options.queueMaxBytes} bytes are waiting already`);
      }
      if (outcome === "stored") wakeUp.all();
    },

    async pull(request) {
      const deadlineMs = clock.monotonicMs() + request.waitMs;
      for (;;) {
        assertOpen();
        if (request.signal.aborted) return [];
        const reserved = read(() => reservations.next(request));
        if (reserved.length > 0) {
          const deliveries = await deliver(reserved);
          if (request.signal.aborted) nakAll(deliveries);
          else if (deliveries.length > 0) return deliveries;
          continue;
        }
        const nowMs = clock.monotonicMs();
        if (nowMs >= deadlineMs) return [];
        const nextMs = Math.min(deadlineMs, leases.nextDueMs() ?? deadlineMs);
        await wakeUp.wait(nextMs - nowMs, request.signal);
      }
    },

    async ack(deliveries) {
      assertOpen();
      if (deliveries.length === 0) return;
      const sequences = deliveries.map(({ sequence }) => sequence);
      await writer.run("ack", { sequences }, weightOf(sequences));
      for (const sequence of sequences) leases.complete(sequence);
      wakeUp.all();
    },

    async nak(deliveries, delayMs) {
      assertOpen();
      const dueMs = clock.monotonicMs() + delayMs;
      for (const delivery of deliveries) leases.nak(delivery, dueMs);
      wakeUp.all();
    },

    async extend(deliveries) {
      assertOpen();
      const untilMs = clock.monotonicMs() + ackWaitMs;
      for (const delivery of deliveries) leases.extend(delivery, untilMs);
    },

    async identity() {
      assertOpen();
      return options.identity;
    },

    async newestSequence() {
      return read(() => Number(newest.get()?.seq ?? 0));
    },

    async isAckedThrough(sequence) {
      return read(() => {
        const row = oldest.get();
        return row === undefined || Number(row.sequence) > sequence;
      });
    },

    async scrub() {
      assertOpen();
      await writer.scrub();
    },

    async stats() {
      return read(() => {
        const total = totals.get();
        const first = oldest.get();
        const ageMs = first === undefined ? 0 : Math.max(0, clock.nowMs() - Number(first.published_at));
        return {
          pending: Number(total?.items ?? 0),
          inFlight: leases.heldCount(clock.monotonicMs()),
          oldestPendingSeconds: ageMs / 1_000,
          bytes: Number(total?.bytes ?? 0),
          limitBytes: options.queueMaxBytes,
          notDelivering: null,
        };
      });
    },

    async health() {
      if (closing !== null) return { healthy: false, reason: "closed" };
      try {
        read(() => totals.get());
      } catch (error) {
        if (guard.reason() === null) return { healthy: false, reason: messageOf(error) };
      }
      return writer.health();
    },

    close() {
      closing ??= (async () => {
        wakeUp.all();
        await sweeper.stop();
        reader.close();
        // Last, so that this close brings the log into the file: a closed database is one file.
        await writer.close();
      })();
      return closing;
    },
  };
}

function weightOf(rows: readonly unknown[]): { rows: number; bytes: number } {
  return { rows: rows.length, bytes: rows.length * DELIVERY_BYTES };
}
