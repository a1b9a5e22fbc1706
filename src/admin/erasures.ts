import { setTimeout as sleepUnaborted, setImmediate as turn } from "node:timers/promises";
import { type Erasure, erasedThroughUs } from "../domain/erasure.ts";
import { microsToMillis, type WallClock } from "../domain/time.ts";
import { StoreRefusedError } from "../ports/errors.ts";
import type { ImpressionQueue } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import type { Logger } from "../telemetry/logger.ts";

/** How often a waiting erasure looks whether the queue has settled what was received before it. */
const QUEUE_CHECK_INTERVAL_MS = 250;
/** An idle runner looks for erasures that another process accepted. */
const IDLE_CHECK_INTERVAL_MS = 30_000;
const RETRY_DELAY_MS_MIN = 500;
const RETRY_DELAY_MS_MAX = 30_000;
const DEAD_LETTERS_PER_PAGE = 200;

/** Forgets users everywhere: what is queued, the dead letters, and every stored row. */
export interface Erasures {
  /**
   * Writes the receipt, durably, and answers; the erasure goes on by itself and survives a restart.
   *
   * @throws StoreUnavailableError nothing was requested.
   */
  request(userId: string): Promise<Erasure>;
}

/** Works through the receipts that are not finished, oldest first, one at a time. */
export interface ErasureRunner {
  /** Looks for new receipts now. */
  wake(): void;
  /** Age of the oldest erasure that is not finished, as last seen; 0 where there is none. */
  oldestAgeMs(): number;
  /** Erasures that failed for good. */
  failed(): number;
  stop(): Promise<void>;
}

export function createErasures(deps: {
  readonly store: ImpressionStore;
  readonly newId: () => string;
  /** The clock of receivedAt, so that "received before the request" has one meaning. */
  readonly receivedAt: { nextUs(): number };
  /** Called when a receipt is written. */
  readonly onRequest: () => void;
}): Erasures {
  return {
    async request(userId) {
      const erasure: Erasure = {
        id: deps.newId(),
        userId,
        requestedAtUs: deps.receivedAt.nextUs(),
        status: "WAITING_FOR_QUEUE",
        rowsDeleted: 0,
        finishedAtMs: null,
      };
      await deps.store.saveErasure(erasure);
      deps.onRequest();
      return erasure;
    },
  };
}

export function startErasureRunner(deps: {
  readonly store: ImpressionStore;
  readonly queue: ImpressionQueue;
  readonly clock: WallClock;
  /** A mutation that was received is in the queue, or has failed, within this. */
  readonly enqueuedWithinMs: number;
  readonly logger: Logger;
}): ErasureRunner {
  const { store, queue, clock, enqueuedWithinMs, logger } = deps;
  const stopping = new AbortController();
  let wakeUp = new AbortController();
  let oldest: Erasure | undefined;
  let failures = 0;

  /**
   * The order makes a crash at any point resumable: the rows go last, and the receipt is DONE only after them. The
   * queue's mark is taken anew after a restart, which can only make the wait longer.
   */
  async function erase(erasure: Erasure): Promise<void> {
    const { id, userId } = erasure;
    // What was received before the request may still be on its way into the queue, here or on a host whose clock is
    // behind: a mark taken earlier would miss it.
    const enqueuedAtMs = microsToMillis(erasedThroughUs(erasure)) + enqueuedWithinMs;
    await sleep(Math.max(0, enqueuedAtMs - clock.nowMs()), stopping.signal);
    if (!(await hasSettledAll())) return;

    // Another process may have worked on the same receipt meanwhile.
    if ((await store.findErasure(id))?.status === "DONE") return;
    await store.saveErasure({ ...erasure, status: "DELETING" });
    await removeDeadLettersOf(userId);
    // Goes into the receipt before the rows go: after a crash fewer of them are found.
    const largest = (rows: number) => Math.max(erasure.rowsDeleted, rows);
    const erased = await store.eraseUser(userId, erasedThroughUs(erasure), (rows) =>
      store.saveErasure({ ...erasure, status: "DELETING", rowsDeleted: largest(rows) }),
    );
    const rowsDeleted = largest(erased.rowsDeleted);
    // A replay that ran at the same time may have made dead letters anew.
    if (!(await hasSettledAll())) return;
    await removeDeadLettersOf(userId);
    const finishedAtMs = clock.nowMs();
    await store.saveErasure({
      ...erasure,
      status: "DONE",
      rowsDeleted,
      finishedAtMs,
    });
    logger.info({ erasure: id, userId, rowsDeleted }, "a user was erased");
  }

  /** Waits until everything that is in the queue now is settled. @returns false where the runner was stopped first. */
  async function hasSettledAll(): Promise<boolean> {
    const mark = await queue.newestSequence();
    while (!stopping.signal.aborted) {
      if (await queue.hasSettledThrough(mark)) return true;
      await sleep(QUEUE_CHECK_INTERVAL_MS, stopping.signal);
    }
    return false;
  }

  async function removeDeadLettersOf(userId: string): Promise<void> {
    let before: number | null = null;
    do {
      const page = await queue.deadLetters.page({ filter: { userId }, before, limit: DEAD_LETTERS_PER_PAGE });
      await queue.deadLetters.remove(page.letters.map(({ id }) => id));
      before = page.next;
      await turn();
    } while (before !== null);
  }

  async function run(): Promise<void> {
    let retryDelayMs = RETRY_DELAY_MS_MIN;
    while (!stopping.signal.aborted) {
      wakeUp = new AbortController();
      let current: Erasure | undefined;
      try {
        [current] = await store.unfinishedErasures();
        oldest = current;
        if (current === undefined) {
          await sleep(IDLE_CHECK_INTERVAL_MS, AbortSignal.any([stopping.signal, wakeUp.signal]));
          continue;
        }
        await erase(current);
        retryDelayMs = RETRY_DELAY_MS_MIN;
      } catch (error) {
        if (current !== undefined && error instanceof StoreRefusedError) {
          failures++;
          logger.error(
            { err: error, erasure: current.id, userId: current.userId },
            "an erasure failed for good",
          );
          await store
            .saveErasure({ ...current, status: "FAILED", finishedAtMs: clock.nowMs() })
            .catch(() => undefined);
        } else {
          const reason = error instanceof Error ? error.message : String(error);
          logger.warn({ reason, retryDelayMs }, "erasures cannot go on now; they are tried again");
        }
        await sleep(retryDelayMs, stopping.signal);
        retryDelayMs = Math.min(retryDelayMs * 2, RETRY_DELAY_MS_MAX);
      }
    }
  }

  const running = run();
  return {
    wake: () => wakeUp.abort(),
    oldestAgeMs: () =>
      oldest === undefined ? 0 : Math.max(0, clock.nowMs() - microsToMillis(oldest.requestedAtUs)),
    failed: () => failures,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

async function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  await sleepUnaborted(delayMs, undefined, { signal }).catch(() => undefined);
}
