import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import type { DeadLetterPayload } from "../domain/dead-letter.ts";
import { joinSubmissions } from "../domain/queue-message.ts";
import type { DeadLetterFilter, DeadLetters, StoredDeadLetter } from "../ports/dead-letters.ts";
import type { ImpressionQueue } from "../ports/impression-queue.ts";

/** Letters that one call handles; a caller with more calls again. Bounds the time that a request may take. */
export const DEAD_LETTERS_PER_ACTION_MAX = 10_000;
/** Letters of one replay message: 50 of the largest are still under half of the smallest queue payload. */
const LETTERS_PER_MESSAGE = 50;

export interface DeadLetterAction {
  /** Letters that the filter matched, at most DEAD_LETTERS_PER_ACTION_MAX. */
  readonly matched: number;
  /** Of those, how many were replayed or discarded; 0 in a dry run. */
  readonly done: number;
}

export interface DeadLetterActions {
  /**
   * Publishes what the letters hold, with its original receivedAt, waits until that is durable, then deletes them. A
   * letter whose bytes are not text stays, since no worker could ever read it. A crash between the two leaves letters
   * whose content is queued again: replayed anew they change no view, but one that still fails is listed twice.
   *
   * @throws QueueFullError, QueueUnavailableError what was not replayed is still there.
   */
  replay(filter: DeadLetterFilter, options: { readonly dryRun: boolean }): Promise<DeadLetterAction>;
  /** @throws QueueUnavailableError */
  discard(filter: DeadLetterFilter, options: { readonly dryRun: boolean }): Promise<DeadLetterAction>;
}

export function createDeadLetterActions(queue: ImpressionQueue): DeadLetterActions {
  async function forEachPage(
    filter: DeadLetterFilter,
    handle: (letters: readonly StoredDeadLetter[]) => Promise<number>,
  ): Promise<DeadLetterAction> {
    let matched = 0;
    let done = 0;
    for await (const letters of pagesOf(queue.deadLetters, filter)) {
      matched += letters.length;
      done += await handle(letters);
    }
    return { matched, done };
  }

  return {
    replay: (filter, { dryRun }) =>
      forEachPage(filter, async (letters) => {
        if (dryRun) return 0;
        const replayable = letters.filter(({ payload }) => bodyOf([payload]) !== null);
        const readable = replayable.filter(({ payload }) => !("base64" in payload));
        const unreadable = replayable.filter(({ payload }) => "base64" in payload);
        for (const group of [readable, ...unreadable.map((letter) => [letter])])
          await republish(queue, group);
        return queue.deadLetters.remove(replayable.map(({ id }) => id));
      }),

    discard: (filter, { dryRun }) =>
      forEachPage(filter, async (letters) =>
        dryRun ? 0 : queue.deadLetters.remove(letters.map(({ id }) => id)),
      ),
  };
}

async function* pagesOf(
  deadLetters: DeadLetters,
  filter: DeadLetterFilter,
): AsyncGenerator<readonly StoredDeadLetter[]> {
  let left = DEAD_LETTERS_PER_ACTION_MAX;
  let before: number | null = null;
  do {
    const limit = Math.min(LETTERS_PER_MESSAGE, left);
    const page = await deadLetters.page({ filter, before, limit });
    // A replayed letter that fails again becomes a newer one: going down by sequence never meets it.
    before = page.next;
    left -= page.letters.length;
    if (page.letters.length > 0) yield page.letters;
    // The embedded engine reads in this process: requests of others come in between.
    await turn();
  } while (before !== null && left > 0);
}

async function republish(queue: ImpressionQueue, letters: readonly StoredDeadLetter[]): Promise<void> {
  const body = bodyOf(letters.map(({ payload }) => payload));
  if (letters.length === 0 || body === null) return;
  // The same letters give the same message id: a replay that is repeated after a crash is stored once.
  const hash = createHash("sha256");
  for (const { id } of letters) hash.update(id);
  await queue.publish({ id: `replay-${hash.digest("hex").slice(0, 32)}`, body });
}

/** The message that holds these payloads; null where one is not text. Unreadable ones go alone, as they came. */
function bodyOf(payloads: readonly DeadLetterPayload[]): string | null {
  const submissions: string[] = [];
  for (const payload of payloads) {
    if ("base64" in payload) {
      const bytes = Buffer.from(payload.base64, "base64");
      const text = bytes.toString("utf8");
      return Buffer.from(text, "utf8").equals(bytes) ? text : null;
    }
    const { userId, receivedAtUs, impression } = payload;
    submissions.push(JSON.stringify({ userId, receivedAtUs, impressions: [impression] }));
  }
  return joinSubmissions(submissions);
}
