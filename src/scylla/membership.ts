import type { types } from "cassandra-driver";
import { chunksOf } from "../common/chunks.ts";
import { VIEWS_COUNT_MAX } from "../domain/limits.ts";
import type { Window } from "../domain/time.ts";
import type { SeenPostRow, SeenRule } from "../domain/walk.ts";
import type { Reads } from "./database.ts";
import { instantMsOf, readDetails, textOf, timestampOf } from "./rows.ts";
import { CLUSTERING_IDS_MAX, PARTITIONS_PER_QUERY_MAX, type ReadName } from "./statements.ts";

/**
 * Rows of one answer: those of one id that count, so that each answer decides one, and room for one of each of the others.
 * Most users have seen what they are asked about a few times, and one answer holds it all.
 */
const ROWS_PER_QUERY = VIEWS_COUNT_MAX + CLUSTERING_IDS_MAX;

/** The newest view of a user and a post inside a window, and how many there are, up to VIEWS_COUNT_MAX. */
export type NewestOfPost = SeenPostRow;
export interface NewestOfUser {
  readonly userId: string;
  readonly lastViewedAtMs: number;
  readonly views: number;
}

/** Questions to views_by_user_post, the truth about what is stored. Users and posts without a view are left out. */
export interface Membership {
  newestOfPosts(userId: string, postIds: readonly string[], window: Window): Promise<NewestOfPost[]>;
  newestOfUsers(postId: string, userIds: readonly string[], window: Window): Promise<NewestOfUser[]>;
  seenAmong(userId: string, postIds: readonly string[], rule: SeenRule): Promise<Set<string>>;
}

/**
 * The rows of some ids, newest first; of each no more than count. Counting them here and not in the database is as fast
 * for what users usually have, and bounded where a pair has a million rows: a count there took as long as they are many.
 */
interface Question {
  readonly statement: ReadName;
  /** The column of the ids that are asked about. */
  readonly column: "post_id" | "user_id";
  readonly idsPerQuery: number;
  /** Rows of one id that count. */
  readonly rowsMax: number;
  readonly parametersFor: (ids: readonly string[]) => readonly unknown[];
}

export function createMembership(database: Reads): Membership {
  return {
    newestOfPosts(userId, postIds, { sinceMs, untilMs }) {
      const question: Question = {
        statement: "newestViewsOfPosts",
        column: "post_id",
        idsPerQuery: CLUSTERING_IDS_MAX,
        rowsMax: VIEWS_COUNT_MAX,
        parametersFor: (ids) => [userId, ids, timestampOf(untilMs), timestampOf(sinceMs)],
      };
      return rowsOf(postIds, question, (postId, newest, rows) => ({
        postId,
        lastViewedAtMs: instantMsOf(newest, "viewed_at"),
        views: rows.length,
        ...readDetails(newest),
      }));
    },

    newestOfUsers(postId, userIds, { sinceMs, untilMs }) {
      const question: Question = {
        statement: "newestViewsOfUsers",
        column: "user_id",
        idsPerQuery: PARTITIONS_PER_QUERY_MAX,
        rowsMax: VIEWS_COUNT_MAX,
        parametersFor: (ids) => [ids, postId, timestampOf(untilMs), timestampOf(sinceMs)],
      };
      return rowsOf(userIds, question, (userId, newest, rows) => ({
        userId,
        lastViewedAtMs: instantMsOf(newest, "viewed_at"),
        views: rows.length,
      }));
    },

    async seenAmong(userId, postIds, { minViews, minDwellMs, sinceMs }) {
      // The filter decides what counts before anything is counted, so as many are looked at as are ever counted.
      const isAnyLong = minDwellMs === 0;
      const counts = (row: types.Row) => isAnyLong || (readDetails(row).dwellMs ?? -1) >= minDwellMs;
      const question: Question = {
        statement: isAnyLong ? "newestPostsSeen" : "newestDetailsOfPosts",
        column: "post_id",
        idsPerQuery: CLUSTERING_IDS_MAX,
        rowsMax: isAnyLong ? Math.min(minViews, VIEWS_COUNT_MAX) : VIEWS_COUNT_MAX,
        parametersFor: (ids) => [userId, ids, timestampOf(sinceMs)],
      };
      const answers = await rowsOf(postIds, question, (postId, _newest, rows) => ({
        postId,
        isSeen: rows.filter(counts).length >= minViews,
      }));
      return new Set(answers.filter(({ isSeen }) => isSeen).map(({ postId }) => postId));
    },
  };

  /** What becomes of each id that has rows. Chunks of ids are asked about at once. */
  async function rowsOf<Result>(
    ids: readonly string[],
    question: Question,
    resultOf: (id: string, newest: types.Row, rows: readonly types.Row[]) => Result,
  ): Promise<Result[]> {
    const chunks = chunksOf(ids, question.idsPerQuery);
    const found = await Promise.all(chunks.map((chunk) => rowsOfChunk(chunk, question)));
    return found.flat().flatMap(([id, rows]) => {
      const [newest] = rows;
      return newest === undefined ? [] : [resultOf(id, newest, rows)];
    });
  }

  /** An answer that is full ends inside one id's rows: those of the ids behind it are asked for again. */
  async function rowsOfChunk(
    chunk: readonly string[],
    { statement, column, rowsMax, parametersFor }: Question,
  ): Promise<[string, readonly types.Row[]][]> {
    const found: [string, readonly types.Row[]][] = [];
    let ids = chunk;
    while (ids.length > 0) {
      const parameters = [...parametersFor(ids), ROWS_PER_QUERY];
      // Room for one more: a page that is exactly full comes with a page state, and costs another round.
      const rows = await database.read(statement, parameters, ROWS_PER_QUERY + 1);
      const groups = Map.groupBy(rows, (row) => textOf(row, column));
      const last = rows.at(-1);
      if (last === undefined) break;
      const isFull = rows.length >= ROWS_PER_QUERY;
      const lastId = textOf(last, column);
      if (isFull && (groups.get(lastId)?.length ?? 0) < rowsMax) groups.delete(lastId);
      for (const [id, own] of groups) found.push([id, own.slice(0, rowsMax)]);
      if (!isFull) break;
      ids = ids.filter((id) => !groups.has(id));
    }
    return found;
  }
}
