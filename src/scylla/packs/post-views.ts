import { chunksOf } from "../../common/chunks.ts";
import { VIEWS_COUNT_MAX } from "../../domain/limits.ts";
import { HistoryTooLongError } from "../../ports/errors.ts";
import type { Reads } from "../database.ts";
import { textOf, timestampOf } from "../rows.ts";
import { PARTITIONS_PER_QUERY_MAX } from "../statements.ts";
import { PACKS_PER_PAGE, PACKS_READ_MAX, packRowOf } from "./history.ts";
import { forEachView, PACK_SPAN_MS_MAX } from "./pack-codec.ts";

/** Users whose rows lie this close are asked about together: each one's packs of that time are read. */
const TOGETHER_MS_MAX = 6 * 3_600_000;

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

/**
 * Asks about one post. The packs that all questions read together are limited.
 *
 * @throws HistoryTooLongError by its calls.
 */
export function createPostViews(reads: Reads, postId: string): PostViews {
  let packsRead = 0;

  /** Enters the views of the post that the users' packs hold; stops with a user that has enough. */
  async function read(
    userIds: readonly string[],
    fromMs: number,
    untilMs: number,
    instants: Map<string, Set<number>>,
  ): Promise<void> {
    const range = [timestampOf(untilMs + PACK_SPAN_MS_MAX), timestampOf(fromMs)];
    const hasEnough = (userId: string) => (instants.get(userId)?.size ?? 0) >= VIEWS_COUNT_MAX;
    let asked = userIds;
    while (asked.length > 0) {
      const current = asked;
      asked = [];
      for await (const rows of reads.pages("readPacksOfUsers", [current, ...range], PACKS_PER_PAGE)) {
        packsRead += rows.length;
        if (packsRead > PACKS_READ_MAX) throw new HistoryTooLongError(PACKS_READ_MAX);
        let userId = "";
        for (const row of rows) {
          userId = textOf(row, "user_id");
          const { bytes, newestAtMs, id } = packRowOf(row);
          forEachView(bytes, newestAtMs, id, (view) => {
            const { viewedAtMs } = view;
            if (viewedAtMs < fromMs || viewedAtMs >= untilMs || view.postId() !== postId) return;
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
  }

  return {
    async storedAmong(rows) {
      const found = new Map<string, Set<number>>();
      const groups = groupsOf(rows);
      await Promise.all(
        groups.map((group) => {
          const instants = group.map(({ viewedAtMs }) => viewedAtMs);
          const userIds = [...new Set(group.map(({ userId }) => userId))];
          return read(userIds, Math.min(...instants), Math.max(...instants) + 1, found);
        }),
      );
      const asked = Map.groupBy(rows, ({ userId }) => userId);
      return sortedInstants(found, (userId, viewedAtMs) =>
        (asked.get(userId) ?? []).some((row) => row.viewedAtMs === viewedAtMs),
      );
    },

    async storedWithin(userIds, fromMs, untilMs) {
      const found = new Map<string, Set<number>>();
      const chunks = chunksOf(userIds, PARTITIONS_PER_QUERY_MAX);
      await Promise.all(chunks.map((chunk) => read(chunk, fromMs, untilMs, found)));
      return sortedInstants(found, () => true);
    },
  };
}

/** Rows that are asked about in one statement: of few users, and near each other. */
function groupsOf(rows: readonly ViewerRow[]): ViewerRow[][] {
  const groups: ViewerRow[][] = [];
  let users = new Set<string>();
  for (const row of rows.toSorted((a, b) => a.viewedAtMs - b.viewedAtMs)) {
    const group = groups.at(-1);
    const first = group?.[0];
    const isNear = first !== undefined && row.viewedAtMs - first.viewedAtMs <= TOGETHER_MS_MAX;
    const hasRoom = users.has(row.userId) || users.size < PARTITIONS_PER_QUERY_MAX;
    if (group !== undefined && isNear && hasRoom) group.push(row);
    else {
      groups.push([row]);
      users = new Set();
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
