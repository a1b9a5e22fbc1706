import { headers, type StoredMsg } from "nats";
import { chunksOf } from "../common/chunks.ts";
import type { DeadLetter } from "../domain/dead-letter.ts";
import type {
  DeadLetterFilter,
  DeadLetterPage,
  DeadLetters,
  StoredDeadLetter,
} from "../ports/dead-letters.ts";
import { DeadLettersFullError } from "../ports/errors.ts";
import type { Connection } from "./connection.ts";
import { decodeDeadLetter, encodeDeadLetter } from "./dead-letter-codec.ts";
import { API_ERROR, apiCodeOf, isNoRoom, messageOf, queueError } from "./errors.ts";
import type { JetStreamNames } from "./names.ts";
import { publishTo } from "./publish.ts";
import { readStreamInfo } from "./stream-info.ts";

/** Requests on their way at once. */
const REQUESTS_MAX = 128;
/** Letters that one page looks at; it may end short of its limit there. */
const SCANNED_LETTERS_MAX = 2_000;
/** Sequences that are fetched together. */
const WINDOW_MIN = 16;
const WINDOW_MAX = 256;
/** Room for subject and headers beside the body of a dead letter. */
const HEADER_BYTES = 1_024;

/** Overwriting a removed letter on the disk takes 9.5 ms each, marking it removed 0.1: compaction does the rest. */
const ERASES_BYTES = false;

const EXPECTED_LAST_SEQUENCE = "Nats-Expected-Last-Subject-Sequence";
const EXPECTED_LAST_SEQUENCE_OF = "Nats-Expected-Last-Subject-Sequence-Subject";
const CONTENT_ENCODING = "Content-Encoding";
const WRONG_LAST_SEQUENCE = /wrong last sequence: \d/;

/**
 * The dead letters in a stream of their own, each under a subject that names its reason and its id:
 *
 *   impressions_dead.v1.<REASON>.<id>
 *
 * The server's index of subjects then finds a dead letter by its id, counts them, and keeps an id unique for as long as the
 * letter is there, where the duplicate window alone forgets after two minutes. All reads go to the stream's leader: an
 * erasure must not overlook a dead letter that a replica has not got yet.
 */
export function createDeadLetters(
  connection: Connection,
  { deadLetterStream: stream, deadLetterPrefix: prefix }: JetStreamNames,
): DeadLetters {
  const { manager } = connection;

  /** @returns the new message's sequence; null where the id is there already. @throws what `publishTo` throws. */
  async function publish(letter: DeadLetter, msgID: string | undefined): Promise<number | null> {
    const payloadMax = connection.nats.info?.max_payload ?? Number.POSITIVE_INFINITY;
    const { body, encoding } = encodeDeadLetter(letter, payloadMax - HEADER_BYTES);
    const head = headers();
    head.set(EXPECTED_LAST_SEQUENCE, "0");
    head.set(EXPECTED_LAST_SEQUENCE_OF, anyReason(letter.id));
    if (encoding !== null) head.set(CONTENT_ENCODING, encoding);
    const options = {
      headers: head,
      expect: { streamName: stream },
      ...(msgID === undefined ? {} : { msgID }),
    };
    try {
      const subject = `${prefix}.${letter.reason}.${tokenOf(letter.id)}`;
      const { seq, duplicate } = await publishTo(connection, subject, body, options);
      if (!duplicate) return seq;
    } catch (error) {
      const isThere =
        apiCodeOf(error) === API_ERROR.wrongLastSequence && WRONG_LAST_SEQUENCE.test(messageOf(error));
      if (isThere) return null;
      throw error;
    }
    // The duplicate window remembers the id, also of a dead letter that has been removed since. Without the id only the
    // letter itself can be in the way.
    return publish(letter, undefined);
  }

  function anyReason(id: string): string {
    return `${prefix}.*.${tokenOf(id)}`;
  }

  async function get(query: Parameters<typeof manager.streams.getMessage>[1]): Promise<StoredMsg | null> {
    try {
      return await connection.request(() => manager.streams.getMessage(stream, query));
    } catch (error) {
      if (apiCodeOf(error) === API_ERROR.noMessageFound) return null;
      throw queueError(error);
    }
  }

  /** The first sequence at or above this one that has a dead letter under the subject. */
  async function next(seq: number, subject: string): Promise<number | null> {
    const query = { seq, next_by_subj: subject };
    return (await get(query))?.seq ?? null;
  }

  async function removeAt(sequence: number): Promise<boolean> {
    try {
      return await connection.request(() => manager.streams.deleteMessage(stream, sequence, ERASES_BYTES));
    } catch (error) {
      // Another process was faster.
      if (apiCodeOf(error) !== null && (await get({ seq: sequence })) === null) return false;
      throw queueError(error);
    }
  }

  async function state() {
    try {
      return (await readStreamInfo(connection, stream)).state;
    } catch (error) {
      throw queueError(error);
    }
  }

  async function pageOfIds(filter: DeadLetterFilter, ids: readonly string[], before: number, limit: number) {
    const found = await mapConcurrently([...new Set(ids)], (id) => get({ last_by_subj: anyReason(id) }));
    const deadLetters = found
      .map((message) => (message !== null && message.seq < before ? letterIn(message) : null))
      .filter((letter) => letter !== null)
      .filter((letter) => matches(filter, letter))
      .sort((a, b) => b.sequence - a.sequence);
    const page = deadLetters.slice(0, limit);
    return { deadLetters: page, next: deadLetters.length > limit ? (page.at(-1)?.sequence ?? null) : null };
  }

  /**
   * Walks down in windows of sequences. The server only searches upwards, so a gap (what was removed or is too old) is
   * crossed by halving: "is there anything at or above this?" finds the dead letter below it in a few questions.
   */
  async function scan(filter: DeadLetterFilter, before: number, limit: number): Promise<DeadLetterPage> {
    const { first_seq: first, last_seq: last, messages } = await state();
    if (messages === 0) return { deadLetters: [], next: null };
    const subject = filter.reason == null ? `${prefix}.>` : `${prefix}.${filter.reason}.*`;
    const isSelective = filter.userId != null || filter.sinceMs != null || filter.untilMs != null;
    const width = isSelective ? WINDOW_MAX : Math.min(WINDOW_MAX, Math.max(WINDOW_MIN, limit));
    const deadLetters: StoredDeadLetter[] = [];
    let scanned = 0;
    let upper = Math.min(before, last + 1);
    while (upper > first) {
      if (scanned >= SCANNED_LETTERS_MAX) return { deadLetters, next: upper };
      const lower = Math.max(first, upper - width);
      const window = await mapConcurrently(range(lower, upper), (seq) => get({ seq }));
      let matching = 0;
      for (const message of window.toReversed()) {
        if (message === null) continue;
        scanned++;
        if (filter.reason != null && !message.subject.startsWith(`${prefix}.${filter.reason}.`)) continue;
        matching++;
        const letter = letterIn(message);
        if (letter === null || !matches(filter, letter)) continue;
        deadLetters.push(letter);
        if (deadLetters.length === limit)
          return { deadLetters, next: message.seq > first ? message.seq : null };
      }
      upper = matching > 0 ? lower : await topBelow(lower, first, subject);
    }
    return { deadLetters, next: null };
  }

  /** One above the window-wide stretch that holds the newest letter below `upper`; `first` where there is none. */
  async function topBelow(upper: number, first: number, subject: string): Promise<number> {
    const hasAny = async (from: number, to: number) => {
      const found = await next(from, subject);
      return found !== null && found < to;
    };
    if (!(await hasAny(first, upper))) return first;
    let low = first;
    let high = upper;
    while (high - low > WINDOW_MIN) {
      const middle = Math.floor((low + high) / 2);
      if (await hasAny(middle, high)) low = middle;
      else high = middle;
    }
    return high;
  }

  return {
    async add(letters) {
      const added: number[] = [];
      for (const group of chunksOf(firstOfEachId(letters), REQUESTS_MAX)) {
        // Published in order over one connection, so stored in order.
        const outcomes = await Promise.allSettled(group.map((letter) => publish(letter, letter.id)));
        for (const outcome of outcomes) {
          if (outcome.status === "fulfilled" && outcome.value !== null) added.push(outcome.value);
        }
        const failures = outcomes.flatMap((outcome) =>
          outcome.status === "rejected" ? [outcome.reason as unknown] : [],
        );
        if (failures.some(isNoRoom)) {
          await mapConcurrently(added, removeAt);
          throw new DeadLettersFullError(
            `JetStream: the stream ${stream} is full: ${messageOf(failures.find(isNoRoom))}`,
          );
        }
        if (failures.length > 0) throw queueError(failures[0]);
      }
    },

    async page({ filter, before, limit }) {
      const below = before ?? Number.MAX_SAFE_INTEGER;
      return filter.ids == null ? scan(filter, below, limit) : pageOfIds(filter, filter.ids, below, limit);
    },

    async remove(ids) {
      const removed = await mapConcurrently([...new Set(ids)], async (id) => {
        const message = await get({ last_by_subj: anyReason(id) });
        return message !== null && (await removeAt(message.seq));
      });
      return removed.filter(Boolean).length;
    },

    async count() {
      return (await state()).messages;
    },
  };
}

/** An id as one token of a subject. Ids are hexadecimal; whatever else is asked for must not become a wildcard. */
function tokenOf(id: string): string {
  return /^[0-9A-Za-z-]{1,128}$/.test(id) ? id : `_${Buffer.from(id, "utf8").toString("base64url")}`;
}

/** The dead letter in a message; null where it is none: a client that may publish there has put it there. */
function letterIn(message: StoredMsg): StoredDeadLetter | null {
  const letter = decodeDeadLetter(message.data, message.header.get(CONTENT_ENCODING));
  return letter === null ? null : { ...letter, sequence: message.seq };
}

/** Every condition but the ids; null and undefined conditions hold. */
function matches(filter: DeadLetterFilter, { reason, userId, failedAtMs }: DeadLetter): boolean {
  if (filter.reason != null && reason !== filter.reason) return false;
  if (filter.userId != null && userId !== filter.userId) return false;
  if (filter.sinceMs != null && failedAtMs < filter.sinceMs) return false;
  return filter.untilMs == null || failedAtMs < filter.untilMs;
}

function firstOfEachId(letters: readonly DeadLetter[]): DeadLetter[] {
  const first = new Map<string, DeadLetter>();
  for (const letter of letters) if (!first.has(letter.id)) first.set(letter.id, letter);
  return [...first.values()];
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

/** The results in the order of the items; asks no more once one has failed. */
async function mapConcurrently<Item, Result>(
  items: readonly Item[],
  map: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  const queue = [...items.entries()].reverse();
  const work = async () => {
    for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
      const [index, item] = entry;
      try {
        results[index] = await map(item);
      } catch (error) {
        queue.length = 0;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(REQUESTS_MAX, items.length) }, work));
  return results;
}
