import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { type DeadLetter, type DeadLetterPayload, isCutOff } from "../domain/dead-letter.ts";
import { joinSubmissions } from "../domain/queue-message.ts";
import type { DeadLetterFilter, StoredDeadLetter } from "../ports/dead-letters.ts";
import type { ImpressionQueue } from "../ports/impression-queue.ts";

/** Letters that one call handles; a caller with more goes on at `next`. Bounds the time that a request may take. */
export const DEAD_LETTERS_PER_ACTION_MAX = 10_000;
/** Letters of one replay message: 50 of the largest are still under half of the smallest queue payload. */
const LETTERS_PER_MESSAGE = 50;

export interface DeadLetterActionRequest {
  readonly filter: DeadLetterFilter;
  /** Only count. */
  readonly dryRun: boolean;
  /** Go on below this sequence; null from the newest. */
  readonly before: number | null;
  /** Letters handled by this call, at most DEAD_LETTERS_PER_ACTION_MAX. */
  readonly limit: number;
}

export interface DeadLetterAction {
  /** Letters that the filter matched, at most the limit. */
  readonly matched: number;
  /** Of those, how many were replayed or discarded; 0 in a dry run. */
  readonly done: number;
  /** Of those, how many cannot be replayed, also in a dry run; see `isReplayable`. They stay. */
  readonly skipped: number;
  /** Pass as `before` to go on; null when there is nothing older. */
  readonly next: number | null;
}

export interface DeadLetterActions {
  /**
   * Publishes what the dead letters hold, with its original receivedAt, waits until that is durable, then deletes them. A
   * crash between the two leaves dead letters whose content is queued again: replayed anew they change no view, but one
   * that still fails is listed twice.
   *
   * @throws QueueFullError, QueueUnavailableError what was not replayed is still there.
   */
  replay(request: DeadLetterActionRequest): Promise<DeadLetterAction>;
  /** @throws QueueUnavailableError */
  discard(request: DeadLetterActionRequest): Promise<DeadLetterAction>;
}

type PageOutcome = Pick<DeadLetterAction, "done" | "skipped">;

/** @param onReplayed called with the number of dead letters that were put back. */
export function createDeadLetterActions(
  queue: ImpressionQueue,
  onReplayed: (letters: number) => void = () => undefined,
): DeadLetterActions {
  const { deadLetters } = queue;

  async function forEachPage(
    { filter, before, limit }: DeadLetterActionRequest,
    handle: (letters: readonly StoredDeadLetter[]) => Promise<PageOutcome>,
  ): Promise<DeadLetterAction> {
    let matched = 0;
    let done = 0;
    let skipped = 0;
    let next = before;
    do {
      const left = Math.min(limit, DEAD_LETTERS_PER_ACTION_MAX) - matched;
      // A replayed letter that fails again becomes a newer one: going down by sequence never meets it.
      const page = await deadLetters.page({
        filter,
        before: next,
        limit: Math.min(LETTERS_PER_MESSAGE, left),
      });
      next = page.next;
      matched += page.deadLetters.length;
      const outcome = await handle(page.deadLetters);
      done += outcome.done;
      skipped += outcome.skipped;
      // The embedded engine reads in this process: requests of others come in between.
      await turn();
    } while (next !== null && matched < Math.min(limit, DEAD_LETTERS_PER_ACTION_MAX));
    return { matched, done, skipped, next };
  }

  const remove = (letters: readonly StoredDeadLetter[]) => deadLetters.remove(letters.map(({ id }) => id));

  return {
    replay: (request) =>
      forEachPage(request, async (letters) => {
        const replayable = letters.filter(isReplayable);
        const skipped = letters.length - replayable.length;
        let done = 0;
        for (const group of request.dryRun ? [] : replayGroups(replayable)) {
          await queue.publish({ id: replayId(group), body: bodyOf(group) });
          onReplayed(group.length);
          done += await remove(group);
        }
        return { done, skipped };
      }),

    discard: (request) =>
      forEachPage(request, async (letters) => ({
        done: request.dryRun || letters.length === 0 ? 0 : await remove(letters),
        skipped: 0,
      })),
  };
}

/**
 * Whether a worker could do anything with what the dead letter holds. A dead letter of one impression is, unless a value was cut: the
 * rest of an id may be the id of something else. A whole message goes back as it came, which helps once a worker
 * understands it; but not where its bytes are not text (no worker of any version reads them) or its end was cut off.
 */
function isReplayable(letter: DeadLetter): boolean {
  return !isCutOff(letter) && (!("base64" in letter.payload) || textOf(letter.payload.base64) !== null);
}

/**
 * What is published together. Whole messages go alone, as they came. So does what has crashed a worker: if it does so
 * again, the message that holds it is dead-lettered as a whole.
 */
function replayGroups(letters: readonly StoredDeadLetter[]): StoredDeadLetter[][] {
  const isAlone = ({ payload, reason }: DeadLetter) => "base64" in payload || reason === "CRASHED_WORKER";
  const { alone = [], together = [] } = Object.groupBy(letters, (letter) =>
    isAlone(letter) ? "alone" : "together",
  );
  return [...(together.length === 0 ? [] : [together]), ...alone.map((letter) => [letter])];
}

/** The same dead letters give the same message id: a replay that is repeated right after a crash is stored once. */
function replayId(letters: readonly StoredDeadLetter[]): string {
  const hash = createHash("sha256");
  for (const { id } of letters) hash.update(id);
  return `replay-${hash.digest("hex").slice(0, 32)}`;
}

/** The message that holds these dead letters; all of them are replayable. */
function bodyOf(letters: readonly StoredDeadLetter[]): string {
  const submissions: string[] = [];
  for (const { payload } of letters) {
    if ("base64" in payload) return textOf(payload.base64) ?? "";
    submissions.push(submissionOf(payload));
  }
  return joinSubmissions(submissions);
}

function submissionOf({ userId, receivedAtUs, impression }: Exclude<DeadLetterPayload, { base64: string }>) {
  return JSON.stringify({ userId, receivedAtUs, replayed: true, impressions: [impression] });
}

/** The text that the bytes spell in UTF-8; null where they spell none. */
function textOf(base64: string): string | null {
  const bytes = Buffer.from(base64, "base64");
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes) ? text : null;
}
