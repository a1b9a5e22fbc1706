import type { Window } from "../domain/time.ts";
import type { SeenPostRow, SeenRule } from "../domain/walk.ts";
import type { Reads } from "./database.ts";
import { instantMsOf, integerOf, readDetails, textOf, timestampOf } from "./rows.ts";

/** Ids in one IN on a clustering column: ScyllaDB's limit. */
const POSTS_PER_QUERY = 100;
/** Partitions in one IN: each is asked of other replicas; beyond this the slowest of them decides. Measured. */
const USERS_PER_QUERY = 25;
/** Rows of a page where the views themselves are looked at. */
const DETAILS_PER_PAGE = 1_000;

/** The newest view of a user and a post inside a window, and how many there are. */
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

export function createMembership(database: Reads): Membership {
  return {
    async newestOfPosts(userId, postIds, { sinceMs, untilMs }) {
      return inChunks(postIds, POSTS_PER_QUERY, async (chunk) => {
        const rows = await database.read(
          "newestViewsOfPosts",
          [userId, chunk, timestampOf(untilMs), timestampOf(sinceMs)],
          pageFor(chunk),
        );
        return rows.map((row) => ({
          postId: textOf(row, "post_id"),
          lastViewedAtMs: instantMsOf(row, "viewed_at"),
          views: integerOf(row, "views"),
          ...readDetails(row),
        }));
      });
    },

    async newestOfUsers(postId, userIds, { sinceMs, untilMs }) {
      return inChunks(userIds, USERS_PER_QUERY, async (chunk) => {
        const rows = await database.read(
          "newestViewsOfUsers",
          [chunk, postId, timestampOf(untilMs), timestampOf(sinceMs)],
          pageFor(chunk),
        );
        return rows.map((row) => ({
          userId: textOf(row, "user_id"),
          lastViewedAtMs: instantMsOf(row, "viewed_at"),
          views: integerOf(row, "views"),
        }));
      });
    },

    async seenAmong(userId, postIds, rule) {
      const seenIn = rule.minDwellMs === 0 ? seenByCount : seenByDwell;
      return new Set(await inChunks(postIds, POSTS_PER_QUERY, (chunk) => seenIn(userId, chunk, rule)));
    },
  };

  async function seenByCount(userId: string, postIds: readonly string[], { minViews, sinceMs }: SeenRule) {
    const rows = await database.read(
      "countViewsOfPosts",
      [userId, postIds, timestampOf(sinceMs)],
      pageFor(postIds),
    );
    return rows.filter((row) => integerOf(row, "views") >= minViews).map((row) => textOf(row, "post_id"));
  }

  /** The filter decides what counts before anything is counted, so the rows themselves are needed. */
  async function seenByDwell(
    userId: string,
    postIds: readonly string[],
    { minViews, minDwellMs, sinceMs }: SeenRule,
  ) {
    const counts = new Map<string, number>();
    const seen: string[] = [];
    const pages = database.pages(
      "readDetailsOfPosts",
      [userId, postIds, timestampOf(sinceMs)],
      DETAILS_PER_PAGE,
    );
    for await (const page of pages) {
      for (const row of page) {
        const { dwellMs } = readDetails(row);
        if (dwellMs === null || dwellMs < minDwellMs) continue;
        const postId = textOf(row, "post_id");
        const count = (counts.get(postId) ?? 0) + 1;
        counts.set(postId, count);
        if (count === minViews) seen.push(postId);
      }
      if (seen.length === postIds.length) break;
    }
    return seen;
  }
}

/**
 * One row a group, and room for one more: a page that is exactly full comes with a page state, and costs another round
 * to learn that nothing follows.
 */
function pageFor(groups: readonly string[]): number {
  return groups.length + 1;
}

/** Asks for all chunks at once. An empty list is not asked for: the driver would send null. */
async function inChunks<Result>(
  ids: readonly string[],
  size: number,
  ask: (chunk: readonly string[]) => Promise<Result[]>,
): Promise<Result[]> {
  const chunks = Array.from({ length: Math.ceil(ids.length / size) }, (_, index) =>
    ids.slice(index * size, (index + 1) * size),
  );
  return (await Promise.all(chunks.map(ask))).flat();
}
