import { closeSync, openSync } from "node:fs";
import { basename, dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { userHash } from "../domain/user-hash.ts";
import { EngineStartError } from "../ports/errors.ts";
import { type Schema, USER_HASH } from "./schema.ts";

/** Only the user of the service reads the files: they hold which user viewed what. */
const FILE_MODE = 0o600;
/** How long a statement waits where another program (a `sqlite3` shell, a backup) holds the file. */
const BUSY_TIMEOUT_MS = 5_000;
/** The same for emptying the log: all other writes wait meanwhile. Our own reads end within some 15 ms. */
const SCRUB_BUSY_TIMEOUT_MS = 1_000;
/** Page cache of the writing connection: new rows land all over the indexes, and each miss reads a page. */
const WRITER_CACHE_KIB = 64 * 1_024;
const READER_CACHE_KIB = 32 * 1_024;
/** The log is cut back to this after a checkpoint, so that one burst does not hold the disk for ever. */
const LOG_BYTES_KEPT = 64 * 1_024 * 1_024;

/** SQLite's primary result codes that say something about the file or the row, not about our statement. */
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_TOOBIG = 18;
const SQLITE_CONSTRAINT = 19;
const SQLITE_MISMATCH = 20;
const SQLITE_NOTADB = 26;
/**
 * Extended codes: READ, SHORT_READ, FSYNC, DATA, CORRUPTFS. Not those of writing: a full disk makes some of them, and they
 * pass once there is room.
 */
const DISK_FAILURES: ReadonlySet<number> = new Set([266, 522, 1_034, 8_202, 8_458]);

/**
 * Creates the file where there is none and brings its schema up to date.
 *
 * @returns its identity: a random name that it got when it was made. A copy has the same one.
 * @throws EngineStartError where the file cannot be used; its message says what to do.
 */
export function prepareDatabase(file: string, schema: Schema): string {
  try {
    // SQLite gives its log and shared-memory files the mode of the database, so the database is created first.
    closeSync(openSync(file, "a", FILE_MODE));
    const database = openForWriting(file);
    try {
      migrate(database, file, schema);
      return String(database.prepare("SELECT id FROM identity").get()?.id);
    } finally {
      database.close();
    }
  } catch (error) {
    throw error instanceof EngineStartError ? error : startError(file, error);
  }
}

/** The one connection that writes; in the thread that owns it. */
export function openForWriting(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
  try {
    // FULL: a commit returns when the log is on the disk. NORMAL would lose the last commits with the power.
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA cache_size = -${WRITER_CACHE_KIB};
      PRAGMA journal_size_limit = ${LOG_BYTES_KEPT};
    `);
    // What is deleted is overwritten with zeros (docs/adr/0042). Measured: no difference that stands out of the noise.
    database.exec("PRAGMA secure_delete = ON");
    defineUserHash(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** A connection for reads beside the writer: it sees every commit at once and neither waits for the other. */
export function openForReading(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  database.exec(`PRAGMA cache_size = -${READER_CACHE_KIB}`);
  defineUserHash(database);
  return database;
}

function defineUserHash(database: DatabaseSync): void {
  database.function(USER_HASH, { deterministic: true }, (key, userId) =>
    userHash(key as Uint8Array, String(userId)),
  );
}

/**
 * Sees to it that what was deleted stands nowhere in the file or its log. Deleting overwrites a row where it is, but not
 * the copies that SQLite leaves between the rows of a page when it moves rows to another page: only writing the file
 * anew does away with those (docs/adr/0042).
 *
 * @param contentBytesMax a file that holds more is not written anew, since all other writes wait meanwhile.
 * @returns false where another connection reads what is older: the log stays for now, and nothing was written to it. (A
 * reader that stays, a backup or a replicator, would have each try add the whole file.)
 */
export function scrub(database: DatabaseSync, contentBytesMax: number): boolean {
  const pragma = (name: string) => Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
  const emptyLog = () => database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()?.busy === 0;
  database.exec(`PRAGMA busy_timeout = ${SCRUB_BUSY_TIMEOUT_MS}`);
  try {
    if (!emptyLog()) return false;
    const contentBytes = (pragma("page_count") - pragma("freelist_count")) * pragma("page_size");
    if (contentBytes <= contentBytesMax) database.exec("VACUUM");
    return emptyLog();
  } finally {
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  }
}

/**
 * Opens a connection for reads beside an opened writer and builds on both; where that fails both are closed, and the
 * thread has closed the file when this rejects.
 */
export async function withReader<Built>(
  writer: { close(): Promise<void> },
  file: string,
  build: (reader: DatabaseSync) => Built,
): Promise<Built> {
  let reader: DatabaseSync | null = null;
  try {
    reader = openForReading(file);
    return build(reader);
  } catch (error) {
    reader?.close();
    await writer.close();
    throw error;
  }
}

/** Writes what is there already. It has to reach the disk all the same, so it fails where any write would. */
export function touch(database: DatabaseSync): void {
  const version = Number(database.prepare("PRAGMA user_version").get()?.user_version);
  database.exec(`PRAGMA user_version = ${version}`);
}

/**
 * How many steps of the schema a file has been through; changes nothing.
 *
 * @throws EngineStartError the file cannot be used; its message says what to do.
 */
export function schemaVersion(file: string, schema: Schema): number {
  try {
    const database = openForReading(file);
    try {
      return checkedVersion(database, file, schema);
    } finally {
      database.close();
    }
  } catch (error) {
    throw error instanceof EngineStartError ? error : startError(file, error);
  }
}

function checkedVersion(database: DatabaseSync, file: string, schema: Schema): number {
  const version = Number(database.prepare("PRAGMA user_version").get()?.user_version);
  if (version > schema.steps.length) {
    throw new EngineStartError(
      `${file} was written by a newer version of impressions (format ${version}, this one reads up to ` +
        `${schema.steps.length}): run that version, or set DATA_DIR to another directory`,
    );
  }
  const tables = Number(database.prepare("SELECT count(*) AS tables FROM sqlite_schema").get()?.tables);
  if (version === 0 && tables > 0) {
    throw new EngineStartError(
      `${file} is a database of another program: move it away, or set DATA_DIR to another directory`,
    );
  }
  return version;
}

function migrate(database: DatabaseSync, file: string, schema: Schema): void {
  const version = checkedVersion(database, file, schema);
  for (const [index, step] of schema.steps.slice(version).entries()) {
    // The step and its number in one transaction: a crash in between leaves the file as it was.
    database.exec(`BEGIN IMMEDIATE; ${step}; PRAGMA user_version = ${version + index + 1}; COMMIT;`);
  }
}

/** What SQLite or the file system says, as one line that tells an operator what to do. */
export function startError(path: string, error: unknown): EngineStartError {
  const directory = dirname(path);
  return new EngineStartError(`${startProblem(path, directory, error)} (${messageOf(error)})`, {
    cause: error,
  });
}

function startProblem(path: string, directory: string, error: unknown): string {
  switch (primaryCode(error)) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return damageProblem(path);
    case SQLITE_BUSY:
      return `${path} is in use by another program: close that program first`;
    case SQLITE_FULL:
      return `the disk of ${directory} is full: make room, or set DATA_DIR to another disk`;
    default:
      return `cannot write ${path}: set DATA_DIR to a directory that this user may write`;
  }
}

/**
 * Whether a write failed for what it is, now and always: a value that the table cannot hold. Everything else (a full
 * disk, a busy file, a read error) may pass.
 */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ("code" in error && (error.code === "ERR_INVALID_ARG_TYPE" || error.code === "ERR_INVALID_ARG_VALUE"))
    return true;
  const code = primaryCode(error);
  return code === SQLITE_TOOBIG || code === SQLITE_CONSTRAINT || code === SQLITE_MISMATCH;
}

/** Whether the file holds what SQLite never wrote, or the disk fails: it does not pass by itself. */
export function isDamage(error: unknown): boolean {
  const code = primaryCode(error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB || DISK_FAILURES.has(extendedCode(error) ?? 0);
}

/**
 * Reads the whole file through, which takes as long as the disk takes; changes nothing.
 *
 * @throws EngineStartError it is damaged; the message says what to do.
 */
export function checkWhole(file: string): void {
  let found: unknown;
  try {
    const database = openForReading(file);
    try {
      found = database.prepare("PRAGMA quick_check(1)").get()?.quick_check;
    } finally {
      database.close();
    }
  } catch (error) {
    throw startError(file, error);
  }
  if (found !== "ok") {
    const finding = String(found).replaceAll("\n", " "); // SQLite heads it with a line of its own
    throw new EngineStartError(`${damageProblem(file)} (${finding})`);
  }
}

function damageProblem(path: string): string {
  return `${path} is damaged: restore ${basename(path)} from a backup, or move it away to start with an empty one`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** SQLite's result code without the extended part, or null where the error is not SQLite's. */
function primaryCode(error: unknown): number | null {
  const code = extendedCode(error);
  return code === null ? null : code & 0xff;
}

function extendedCode(error: unknown): number | null {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return null;
  return error.errcode;
}
