import { chunksOf } from "../../common/chunks.ts";
import { VIEWS_COUNT_MAX } from "../../domain/limits.ts";
import { DAY_MS } from "../../domain/time.ts";
import { HistoryTooLongError } from "../../ports/errors.ts";
import type { Reads } from "../database.ts";
import { instantMsOf, textOf, timestampOf } from "../rows.ts";
import { PARTITIONS_PER_QUERY_MAX } from "../statements.ts";
import { PACKS_PER_PAGE, packRowOf } from "./history.ts";
import { forEachView, PACK_SPAN_MS_MAX } from "./pack-codec.ts";
import { tailOfId } from "./pack-layout.ts";

/**
 * One statement asks about the rows of several users, and reads all packs that these have in the time between the rows. So many
 * packs may cost what a statement saves: between 4 and 35 the measured pages were fastest with it.
 */
const PACKS_LIKE_A_STATEMENT = 10;
/** How far apart the rows of one statement may lie, whatever is known. */
const TOGETHER_MS_MAX = 7 * DAY_MS;
/** Packs that a page of viewers reads of all of them together. */
export const PACKS_OF_PAGE_MAX = 1_000_000;
/** How often users submit, until it is known better: ten times a day. */
const PACKS_PER_MS = 10 / DAY_MS;
/** How much an answer moves what is known. */
const LEARNING_RATE = 0.05;

/** How many packs a user has on average in a millisecond, as far as questions of this process have met them. */
export interface PackDensity {
  perMs(): number;
  /** A question has read so many packs, beyond those it looked for, of so many users and so long a time. */
  met(packs: number, users: number, durationMs: number): void;
}

/** A wrong one costs time, and changes no answer. */
export function createPackDensity(): PackDensity {
  let perMs = PACKS_PER_MS;
  return {
    perMs: () => perMs,
    met(packs, users, durationMs) {
      if (users * durationMs <= 0) return;
      perMs += LEARNING_RATE * (packs / (users * durationMs) - perMs);
    },
  };
}

/** A row of a post's viewers; the view behind it may not be stored. */
export interface ViewerRow {
  readonly userId: string;
  readonly viewedAtMs: number;
}

/** The instants at which users viewed the post, newest first. Users without any are left out. */
export type InstantsByUser = ReadonlyMap<string, readonly number[]>;

/** What the users' histories tell of the views of one post. A view exists once it is there. */
export interface PostViews {
  /** Those of the rows whose views exist: the packs around each row are read, and no others. */
  storedAmong(rows: readonly ViewerRow[]): Promise<InstantsByUser>;
  /**
   * All views of these users from one instant to another, exclusive: the users' whole histories of that time are read. Of a
   * user with more than VIEWS_COUNT_MAX only the newest ones.
   */
  storedWithin(userIds: readonly string[], fromMs: number, untilMs: number): Promise<InstantsByUser>;
}

/** What is read of users' histories. */
interface Extent {
  readonly userIds: readonly string[];
  readonly fromMs: number;
  /** Exclusive. */
  readonly untilMs: number;
  /** Whether a pack of the user that ends there can hold what is looked for: others are not decoded. */
  readonly isWanted: (userId: string, newestAtMs: number) => boolean;
}

/**
 * Asks about one post. The packs that all questions read together are limited.
 *
 * @throws HistoryTooLongError by its calls.
 */
export function createPostViews(reads: Reads, postId: string, density: PackDensity): PostViews {
  const tail = tailOfId(postId);
  let packsRead = 0;

  /** Enters the views of the post that the packs hold; stops with a user that has enough. @returns how many packs it read. */
  async function read(
    { userIds, fromMs, untilMs, isWanted }: Extent,
    instants: Map<string, Set<number>>,
  ): Promise<number> {
    const range = [timestampOf(untilMs + PACK_SPAN_MS_MAX), timestampOf(fromMs)];
    const hasEnough = (userId: string) => (instants.get(userId)?.size ?? 0) >= VIEWS_COUNT_MAX;
    let packs = 0;
    let asked = userIds;
    while (asked.length > 0) {
      const current = asked;
      asked = [];
      for await (const rows of reads.pages("readPacksOfUsers", [current, ...range], PACKS_PER_PAGE)) {
        packs += rows.length;
        packsRead += rows.length;
        if (packsRead > PACKS_OF_PAGE_MAX) throw new HistoryTooLongError(PACKS_OF_PAGE_MAX);
        let userId = "";
        for (const row of rows) {
          userId = textOf(row, "user_id");
          if (!isWanted(userId, instantMsOf(row, "newest_at"))) continue;
          const { bytes, newestAtMs, id } = packRowOf(row);
          forEachView(bytes, newestAtMs, id, (view) => {
            const { viewedAtMs } = view;
            if (viewedAtMs < fromMs || viewedAtMs >= untilMs) return;
            if (view.tail() !== tail || view.postId() !== postId) return;
            const own = instants.get(userId);
            if (own === undefined) instants.set(userId, new Set([viewedAtMs]));
            else own.add(viewedAtMs);
          });
        }
        // Partitions come one after the other, in an order that only the database knows.
        if (rows.length > 0 && hasEnough(userId)) {
          asked = current.filter((other) => !hasEnough(other));
          break;
        }
      }
    }
    return packs;
  }

  return {
    async storedAmong(rows) {
      const found = new Map<string, Set<number>>();
      const asked = new Map(
        [...Map.groupBy(rows, ({ userId }) => userId)].map(([userId, own]) => [
          userId,
          new Set(own.map(({ viewedAtMs }) => viewedAtMs)),
        ]),
      );
      const isWanted = (userId: string, newestAtMs: number) => {
        for (const instant of asked.get(userId) ?? []) {
          if (instant <= newestAtMs && newestAtMs - instant <= PACK_SPAN_MS_MAX) return true;
        }
        return false;
      };
      await Promise.all(
        groupsOf(rows, density.perMs()).map(async (group) => {
          const instants = group.map(({ viewedAtMs }) => viewedAtMs);
          const [fromMs, untilMs] = [Math.min(...instants), Math.max(...instants) + 1];
          const userIds = [...new Set(group.map(({ userId }) => userId))];
          const packs = await read({ userIds, fromMs, untilMs, isWanted }, found);
          density.met(packs - group.length, userIds.length, untilMs - fromMs + PACK_SPAN_MS_MAX);
        }),
      );
      return sortedInstants(found, (userId, instant) => asked.get(userId)?.has(instant) ?? false);
    },

    async storedWithin(userIds, fromMs, untilMs) {
      const found = new Map<string, Set<number>>();
      const isWanted = () => true;
      const chunks = chunksOf(userIds, PARTITIONS_PER_QUERY_MAX);
      await Promise.all(chunks.map((chunk) => read({ userIds: chunk, fromMs, untilMs, isWanted }, found)));
      return sortedInstants(found, () => true);
    },
  };
}

/** Rows that are asked about in one statement: as long as the packs that it reads for one more row cost less than another. */
function groupsOf(rows: readonly ViewerRow[], packsPerMs: number): ViewerRow[][] {
  const groups: ViewerRow[][] = [];
  let users = new Set<string>();
  let packs = 0;
  for (const row of rows.toSorted((a, b) => a.viewedAtMs - b.viewedAtMs)) {
    const group = groups.at(-1);
    const spanMs = row.viewedAtMs - (group?.[0]?.viewedAtMs ?? row.viewedAtMs);
    const size = users.size + (users.has(row.userId) ? 0 : 1);
    const packsWithIt = size * packsPerMs * spanMs;
    const joins =
      spanMs <= TOGETHER_MS_MAX &&
      size <= PARTITIONS_PER_QUERY_MAX &&
      packsWithIt - packs <= PACKS_LIKE_A_STATEMENT;
    if (group !== undefined && joins) {
      group.push(row);
      packs = packsWithIt;
    } else {
      groups.push([row]);
      users = new Set();
      packs = 0;
    }
    users.add(row.userId);
  }
  return groups;
}

function sortedInstants(
  found: ReadonlyMap<string, ReadonlySet<number>>,
  isAsked: (userId: string, viewedAtMs: number) => boolean,
): InstantsByUser {
  const users = [...found].map(([userId, instants]): [string, number[]] => [
    userId,
    [...instants].filter((instant) => isAsked(userId, instant)).sort((a, b) => b - a),
  ]);
  return new Map(users.filter(([, instants]) => instants.length > 0));
}
