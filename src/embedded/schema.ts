/** SQL's name of `userHash`: a function of the key in user_hash_key and the id. */
export const USER_HASH = "user_hash";

/**
 * What the two database files look like. A schema is a list of steps; a file remembers in `PRAGMA user_version` how
 * many it has been through. Steps are only ever appended: an installed file is brought up to date when it is opened.
 */
export interface Schema {
  readonly steps: readonly string[];
}

/** What tells this file from every other; one row. */
const IDENTITY = `
    CREATE TABLE identity (id TEXT NOT NULL) STRICT;
    INSERT INTO identity VALUES (lower(hex(randomblob(16))));
    `;

/** queue.sqlite: the messages, what is known about their deliveries, and the dead letters. */
export const QUEUE_SCHEMA: Schema = {
  steps: [
    `
    -- AUTOINCREMENT: a sequence is never used again, also not after the newest message was settled.
    CREATE TABLE messages (
      sequence INTEGER PRIMARY KEY AUTOINCREMENT,
      bytes INTEGER NOT NULL,
      published_at INTEGER NOT NULL,
      body BLOB NOT NULL
    ) STRICT;

    -- Beside the messages and not in them: counting a delivery must not rewrite a body.
    CREATE TABLE deliveries (
      sequence INTEGER PRIMARY KEY,
      deliveries INTEGER NOT NULL
    ) STRICT;

    -- Outlives its message: a retry of a publish may come after a quick worker has settled it.
    CREATE TABLE message_ids (
      id TEXT PRIMARY KEY,
      published_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX message_ids_by_age ON message_ids (published_at);

    CREATE TABLE dead_letters (
      sequence INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      reason TEXT NOT NULL,
      -- JSON: a user id that was refused may hold what SQL text cannot (NUL, half of a surrogate pair).
      user_id_json TEXT NOT NULL,
      failed_at INTEGER NOT NULL,
      added_at INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      letter TEXT NOT NULL
    ) STRICT;
    CREATE INDEX dead_letters_by_user ON dead_letters (user_id_json, sequence);
    CREATE INDEX dead_letters_by_reason ON dead_letters (reason, sequence);
    CREATE INDEX dead_letters_by_age ON dead_letters (added_at);

    -- Kept by triggers, so that a limit is checked by reading one row, in the transaction that would exceed it.
    CREATE TABLE totals (name TEXT PRIMARY KEY, items INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO totals VALUES ('messages', 0, 0), ('dead_letters', 0, 0);
    CREATE TRIGGER message_added AFTER INSERT ON messages BEGIN
      UPDATE totals SET items = items + 1, bytes = bytes + NEW.bytes WHERE name = 'messages';
    END;
    CREATE TRIGGER message_removed AFTER DELETE ON messages BEGIN
      UPDATE totals SET items = items - 1, bytes = bytes - OLD.bytes WHERE name = 'messages';
      DELETE FROM deliveries WHERE sequence = OLD.sequence;
    END;
    CREATE TRIGGER dead_letter_added AFTER INSERT ON dead_letters BEGIN
      UPDATE totals SET items = items + 1, bytes = bytes + NEW.bytes WHERE name = 'dead_letters';
    END;
    CREATE TRIGGER dead_letter_removed AFTER DELETE ON dead_letters BEGIN
      UPDATE totals SET items = items - 1, bytes = bytes - OLD.bytes WHERE name = 'dead_letters';
    END;
    `,
    IDENTITY,
    `
    -- Who began to try a message alone and never ended; goes with its message.
    CREATE TABLE attempts (
      sequence INTEGER PRIMARY KEY,
      workers TEXT NOT NULL
    ) STRICT;
    CREATE TRIGGER attempts_removed AFTER DELETE ON messages BEGIN
      DELETE FROM attempts WHERE sequence = OLD.sequence;
    END;
    `,
  ],
};

/** store.sqlite: the views, who was erased, and the erasure records. Times are named by their unit. */
export const STORE_SCHEMA: Schema = {
  steps: [
    `
    -- The primary key is a view's identity and answers membership: has this user seen this post, how often, when last.
    CREATE TABLE views (
      user_id TEXT NOT NULL,
      post_id TEXT NOT NULL,
      viewed_at_ms INTEGER NOT NULL,
      received_at_us INTEGER NOT NULL,
      surface TEXT,
      position INTEGER,
      dwell_ms INTEGER,
      PRIMARY KEY (user_id, post_id, viewed_at_ms)
    ) STRICT, WITHOUT ROWID;
    -- The two walks. Each holds the whole identity, so that a walk touches the row itself only for what it emits.
    CREATE INDEX views_by_user ON views (user_id, viewed_at_ms DESC, post_id DESC);
    CREATE INDEX views_by_post ON views (post_id, viewed_at_ms DESC, user_id DESC);

    -- Everything of the user received up to this instant is gone and stays out.
    CREATE TABLE erased_users (
      user_id TEXT PRIMARY KEY,
      through_received_at_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE erasures (
      id TEXT PRIMARY KEY,
      user_id TEXT NOT NULL,
      requested_at_us INTEGER NOT NULL,
      status TEXT NOT NULL,
      rows_deleted INTEGER NOT NULL,
      finished_at_ms INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX erasures_unfinished ON erasures (requested_at_us, id) WHERE status NOT IN ('DONE', 'FAILED');
    `,
    IDENTITY,
    `
    -- What is kept of erased users are hashes under a key of this file: docs/adr/0042.
    CREATE TABLE user_hash_key (key BLOB NOT NULL) STRICT;
    INSERT INTO user_hash_key VALUES (randomblob(32));
    CREATE TABLE erased_user_hashes (
      user_hash TEXT PRIMARY KEY,
      through_received_at_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO erased_user_hashes
      SELECT ${USER_HASH}((SELECT key FROM user_hash_key), user_id), through_received_at_us FROM erased_users;
    DROP TABLE erased_users;
    UPDATE erasures SET user_id = ${USER_HASH}((SELECT key FROM user_hash_key), user_id) WHERE status = 'DONE';
    `,
  ],
};
