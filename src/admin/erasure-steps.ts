import { setImmediate as turn } from "node:timers/promises";
import { sleep } from "../common/waiting.ts";
import { carriedOutThroughUs, type Erasure, erasureReach, isWithin } from "../domain/erasure.ts";
import { microsToMillis, type WallClock } from "../domain/time.ts";
import type { ImpressionQueue } from "../ports/impression-queue.ts";
import type { ImpressionStore } from "../ports/impression-store.ts";
import type { Logger } from "../telemetry/logger.ts";

/** How often a waiting erasure looks whether the queue has acked what was received before it. */
const QUEUE_CHECK_INTERVAL_MS = 250;
const DEAD_LETTERS_PER_PAGE = 200;

const SCRUB_FAILED = "a user was erased, but the store's file could not be scrubbed now";

export interface ErasureStepsDeps {
  readonly store: ImpressionStore;
  readonly queue: ImpressionQueue;
  readonly clock: WallClock;
  /** A mutation that was received is in the queue, or has failed, within this. */
  readonly enqueuedWithinMs: number;
  readonly logger: Logger;
}

/**
 * Carries out one erasure, or what is left of it. Resolves when it is DONE, or somewhere on the way where `stopping`
 * aborts.
 *
 * The order makes a crash at any point resumable: the rows go last, and the erasure record is DONE only after them. The queue's
 * mark is taken anew after a restart, which can only make the wait longer.
 *
 * @throws StoreUnavailableError, QueueUnavailableError it can be tried again. @throws StoreRefusedError it never will succeed.
 */
export async function carryOutErasure(
  erasure: Erasure,
  { store, queue, clock, enqueuedWithinMs, logger }: ErasureStepsDeps,
  stopping: AbortSignal,
): Promise<void> {
  const { id, userId } = erasure;
  const throughUs = carriedOutThroughUs(erasure, clock.nowMs());
  // What was received before the request may still be on its way into the queue, here or on a host whose clock is
  // behind: a mark taken earlier would miss it.
  const enqueuedAtMs = microsToMillis(throughUs) + enqueuedWithinMs;
  await sleep(Math.max(0, enqueuedAtMs - clock.nowMs()), stopping);
  if (!(await untilAllAcked())) return;

  // Another process may have worked on the same erasure record before.
  if ((await store.findErasure(id))?.status === "DONE") return;
  await store.saveErasure({ ...erasure, status: "DELETING" });
  await removeDeadLetters();
  // Goes into the erasure record before the rows go: after a crash fewer of them are found.
  const largest = (rows: number) => Math.max(erasure.rowsDeleted, rows);
  const erased = await store.eraseUser(userId, throughUs, (rows) =>
    store.saveErasure({ ...erasure, status: "DELETING", rowsDeleted: largest(rows) }),
  );
  const rowsDeleted = largest(erased.rowsDeleted);
  // A replay that ran at the same time may have made dead letters anew.
  if (!(await untilAllAcked())) return;
  await removeDeadLetters();
  await queue.scrub();
  await store.saveErasure({ ...erasure, status: "DONE", rowsDeleted, finishedAtMs: clock.nowMs() });
  // After the erasure record, which has named the user until now. It is only bytes that no answer shows: the next erasure tries it
  // again.
  await store.scrub().catch((error: unknown) => logger.warn({ err: error, erasure: id }, SCRUB_FAILED));
  logger.info({ erasure: id, userId, rowsDeleted }, "a user was erased");

  /** Waits until everything that is in the queue now is acked. @returns false where the runner was stopped first. */
  async function untilAllAcked(): Promise<boolean> {
    const mark = await queue.newestSequence();
    while (!stopping.aborted) {
      if (await queue.isAckedThrough(mark)) return true;
      await sleep(QUEUE_CHECK_INTERVAL_MS, stopping);
    }
    return false;
  }

  async function removeDeadLetters(): Promise<void> {
    let before: number | null = null;
    do {
      const page = await queue.deadLetters.page({
        filter: { userId },
        before,
        limit: DEAD_LETTERS_PER_PAGE,
        includesExpired: true,
      });
      const reach = erasureReach(throughUs, clock.nowMs());
      const gone = page.deadLetters.filter(({ receivedAtUs }) => isWithin(reach, receivedAtUs ?? 0));
      await queue.deadLetters.remove(gone.map((letter) => letter.id));
      before = page.next;
      await turn();
    } while (before !== null);
  }
}
