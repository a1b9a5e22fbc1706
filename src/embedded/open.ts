import { join, resolve } from "node:path";
import type { Clock } from "../domain/time.ts";
import { EngineStartError } from "../ports/errors.ts";
import type { OnStatement } from "../ports/impression-store.ts";
import { prepareDatabase, startError } from "./database.ts";
import { lockDirectory } from "./lock.ts";
import { type EmbeddedQueue, openEmbeddedQueue } from "./queue.ts";
import { createReadTurns } from "./read-turns.ts";
import { QUEUE_SCHEMA, STORE_SCHEMA } from "./schema.ts";
import { type EmbeddedStore, openEmbeddedStore } from "./store.ts";

/** How long a puller holds a message before it is delivered again, unless it extends. */
const ACK_WAIT_MS_DEFAULT = 30_000;

export interface EmbeddedEngineOptions {
  /** Created where it does not exist, readable by this user only. */
  readonly dataDir: string;
  readonly queueMaxBytes: number;
  readonly deadLetterMaxBytes: number;
  readonly deadLetterDays: number;
  readonly retentionMs: number;
  readonly ackWaitMs?: number;
  /** See NACKED_MESSAGES_MAX_DEFAULT. */
  readonly returnedMessagesMax?: number;
  readonly clock: Clock;
  /**
   * Called, at most once, where the engine can never write again: a writer's thread died, of memory or a bug. What was
   * acknowledged is safe; only a new process helps.
   */
  readonly onFatal?: (reason: string) => void;
  /**
   * Called, at most once for each file, where it or its disk turns out to be damaged: nothing of it is answered or written
   * until the process is started again.
   */
  readonly onDamage?: (reason: string) => void;
  readonly onStatement?: OnStatement | undefined;
}

export interface EmbeddedEngine {
  readonly queue: EmbeddedQueue;
  readonly store: EmbeddedStore;
  /** Closes both and gives the directory free. Repeated calls wait for the first. */
  close(): Promise<void>;
}

/**
 * The engine that needs nothing but Node and a directory: a queue and a store, each in a SQLite file, for one process.
 * What it acknowledged is on the disk: neither `kill -9` nor, where the disk keeps its word about fsync, a power cut
 * loses it.
 *
 * @throws EngineStartError the directory cannot be used, another process has it, or a file is damaged or too new. The
 * message is one line that says what to do.
 */
export async function openEmbeddedEngine(options: EmbeddedEngineOptions): Promise<EmbeddedEngine> {
  const { dataDir, clock, retentionMs, ackWaitMs = ACK_WAIT_MS_DEFAULT } = options;
  const onFatal = once(options.onFatal);
  const lock = lockDirectory(dataDir);
  // Where SQLite puts what it writes anew before it replaces the file: a container may have no other place to write to.
  process.env.SQLITE_TMPDIR ??= resolve(dataDir);
  const opened: { close(): Promise<void> }[] = [];
  async function closeAll(): Promise<void> {
    await Promise.all(opened.map((part) => part.close()));
    lock.release();
  }
  try {
    const queueFile = join(dataDir, "queue.sqlite");
    const storeFile = join(dataDir, "store.sqlite");
    // Of both: what an import put into the queue is in the store by now.
    const identity = `${prepareDatabase(queueFile, QUEUE_SCHEMA)}-${prepareDatabase(storeFile, STORE_SCHEMA)}`;
    const readTurns = createReadTurns(clock);
    const queue = await openEmbeddedQueue({
      ...options,
      file: queueFile,
      identity,
      ackWaitMs,
      readTurns,
      onFatal,
    });
    opened.push(queue);
    const store = await openEmbeddedStore({
      file: storeFile,
      retentionMs,
      clock,
      readTurns,
      onFatal,
      onDamage: options.onDamage,
      onStatement: options.onStatement,
    });
    opened.push(store);
    let closing: Promise<void> | null = null;
    return {
      queue,
      store,
      close() {
        closing ??= closeAll();
        return closing;
      },
    };
  } catch (error) {
    await closeAll();
    throw error instanceof EngineStartError ? error : startError(dataDir, error);
  }
}

function once(call: (reason: string) => void = () => undefined): (reason: string) => void {
  let isCalled = false;
  return (reason) => {
    if (isCalled) return;
    isCalled = true;
    call(reason);
  };
}
