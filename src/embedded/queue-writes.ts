import type { DatabaseSync } from "node:sqlite";

/**
 * Everything that changes queue.sqlite. Runs in the writer's thread, each operation inside a transaction; the instant
 * comes with the input, because the thread has no clock of its own.
 */
export type QueueWrites = {
  readonly publish: (input: PublishInput) => PublishOutcome;
  readonly ack: (input: { readonly sequences: readonly number[] }) => void;
  /** Counts one more delivery of each. @returns the counts by place in the input; null where it is acked already. */
  readonly deliver: (input: { readonly sequences: readonly number[] }) => readonly (number | null)[];
  readonly addDeadLetters: (input: AddDeadLettersInput) => "added" | "full";
  /** Replaces the message's attempt record; an empty list deletes it. */
  readonly noteAttempts: (input: { readonly sequence: number; readonly workers: readonly string[] }) => void;
  /** @returns how many were there. */
  readonly removeDeadLetters: (input: { readonly ids: readonly string[] }) => number;
  /** Deletes what is out of date, at most `rows` of each kind. @returns whether there may be more. */
  readonly sweep: (input: SweepInput) => boolean;
};

export interface PublishInput {
  readonly id: string;
  readonly body: Uint8Array;
  readonly nowMs: number;
  /** An id that was published at or before this instant may be used again. */
  readonly forgottenThroughMs: number;
  readonly limitBytes: number;
}

/** `duplicate`: the id was published within the window; nothing was stored, and nothing had to be. */
export type PublishOutcome = "stored" | "duplicate" | "full";

export interface AddDeadLettersInput {
  readonly letters: readonly DeadLetterRecord[];
  readonly limitBytes: number;
}

/** A dead letter as it stands in the table. */
export interface DeadLetterRecord {
  readonly id: string;
  readonly reason: string;
  readonly userIdJson: string;
  readonly failedAtMs: number;
  readonly addedAtMs: number;
  readonly bytes: number;
  readonly letter: string;
}

export interface SweepInput {
  readonly idsForgottenThroughMs: number;
  readonly deadLettersThroughMs: number;
  readonly rows: number;
}

export function createQueueWrites(database: DatabaseSync): QueueWrites {
  const findId = database.prepare("SELECT published_at FROM message_ids WHERE id = ?");
  const rememberId = database.prepare("INSERT OR REPLACE INTO message_ids (id, published_at) VALUES (?, ?)");
  const insert = database.prepare("INSERT INTO messages (bytes, published_at, body) VALUES (?, ?, ?)");
  const remove = database.prepare("DELETE FROM messages WHERE sequence = ?");
  const totalBytes = database.prepare("SELECT bytes FROM totals WHERE name = ?");
  const countDelivery = database.prepare(`
    INSERT INTO deliveries (sequence, deliveries)
    SELECT sequence, 1 FROM messages WHERE sequence = ?
    ON CONFLICT (sequence) DO UPDATE SET deliveries = deliveries + 1
    RETURNING deliveries`);
  const noteAttempts = database.prepare(`
    INSERT INTO attempts (sequence, workers) SELECT sequence, ? FROM messages WHERE sequence = ?
    ON CONFLICT (sequence) DO UPDATE SET workers = excluded.workers`);
  const forgetAttempts = database.prepare("DELETE FROM attempts WHERE sequence = ?");
  const findLetter = database.prepare("SELECT 1 FROM dead_letters WHERE id = ?");
  const insertLetter = database.prepare(`
    INSERT INTO dead_letters (id, reason, user_id_json, failed_at, added_at, bytes, letter)
    VALUES (:id, :reason, :userIdJson, :failedAtMs, :addedAtMs, :bytes, :letter)`);
  const removeLetter = database.prepare("DELETE FROM dead_letters WHERE id = ?");
  const forgetIds = database.prepare(`
    DELETE FROM message_ids WHERE id IN (
      SELECT id FROM message_ids WHERE published_at <= ? ORDER BY published_at LIMIT ?)`);
  const expireLetters = database.prepare(`
    DELETE FROM dead_letters WHERE sequence IN (
      SELECT sequence FROM dead_letters WHERE added_at <= ? ORDER BY added_at LIMIT ?)`);

  const bytesOf = (name: "messages" | "dead_letters") => Number(totalBytes.get(name)?.bytes);

  return {
    publish({ id, body, nowMs, forgottenThroughMs, limitBytes }) {
      const known = findId.get(id);
      if (known !== undefined && Number(known.published_at) > forgottenThroughMs) return "duplicate";
      if (bytesOf("messages") + body.byteLength > limitBytes) return "full";
      rememberId.run(id, nowMs);
      insert.run(body.byteLength, nowMs, body);
      return "stored";
    },

    ack({ sequences }) {
      for (const sequence of sequences) remove.run(sequence);
    },

    deliver({ sequences }) {
      return sequences.map((sequence) => {
        const row = countDelivery.get(sequence);
        return row === undefined ? null : Number(row.deliveries);
      });
    },

    noteAttempts({ sequence, workers }) {
      if (workers.length === 0) forgetAttempts.run(sequence);
      else noteAttempts.run(JSON.stringify(workers), sequence);
    },

    addDeadLetters({ letters, limitBytes }) {
      // A dead letter may stand in the list twice, or in the table already: neither counts against the limit again.
      const fresh = new Map(letters.map((letter) => [letter.id, letter]));
      for (const id of fresh.keys()) if (findLetter.get(id) !== undefined) fresh.delete(id);
      let bytes = bytesOf("dead_letters");
      for (const letter of fresh.values()) bytes += letter.bytes;
      if (fresh.size > 0 && bytes > limitBytes) return "full";
      for (const letter of fresh.values()) insertLetter.run({ ...letter });
      return "added";
    },

    removeDeadLetters({ ids }) {
      let removed = 0;
      for (const id of ids) removed += Number(removeLetter.run(id).changes);
      return removed;
    },

    sweep({ idsForgottenThroughMs, deadLettersThroughMs, rows }) {
      const ids = Number(forgetIds.run(idsForgottenThroughMs, rows).changes);
      const letters = Number(expireLetters.run(deadLettersThroughMs, rows).changes);
      return ids === rows || letters === rows;
    },
  };
}
