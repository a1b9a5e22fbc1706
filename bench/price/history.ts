import type { Impression, Submission } from "../../src/domain/impression.ts";
import { createRandom } from "../../test/kit/random.ts";

/**
 * What the questions are asked about: users with few, many and very many views, seen in sessions of ten over 60 days, and
 * posts that few, some and very many have viewed. A function of the numbers here.
 */

export const POSTS = 5_000;
/** Viewed by each of the crowd in the last day, by 30,000 in all: more than one slice holds. */
export const HOT_POST = "post-hot";
/** Viewed by about 600 users over all of the time. */
export const COLD_POST = "post-cold";

/** Users of one kind. */
export interface Class {
  readonly name: string;
  readonly users: number;
  /** Of each. */
  readonly views: number;
}

export const CLASSES = {
  few: { name: "few", users: 2_000, views: 100 },
  many: { name: "many", users: 60, views: 1_000 },
  most: { name: "most", users: 10, views: 9_000 },
} satisfies Record<string, Class>;
const CROWD = 30_000;
const VIEWS_PER_SESSION = 10;
const DAY_MS = 86_400_000;
const SPREAD_MS = 60 * DAY_MS;
const COLD_CHANCE = 0.3;

export const userOf = ({ name }: Class, number: number) => `${name}-${String(number).padStart(7, "0")}`;
export const postOf = (number: number) => `post-${String(number).padStart(6, "0")}`;

/** @param share how many of the users there are, 0 to 1. */
export function* historyOf(endMs: number, share: number): Generator<Submission> {
  let submissions = 0;
  const random = createRandom(9);
  const session = (userId: string, lastMs: number, postIds: readonly string[]): Submission => ({
    userId,
    receivedAtUs: endMs * 1_000 + submissions++ * VIEWS_PER_SESSION,
    impressions: postIds.map(
      (postId, index): Impression => ({
        ...{ postId, viewedAtMs: lastMs - index * random.integer(800, 3_000) },
        ...{ surface: "HOME", position: index, dwellMs: random.integer(0, 10_000) },
      }),
    ),
  });
  for (const kind of Object.values<Class>(CLASSES)) {
    for (let user = 0; user < Math.ceil(kind.users * share); user++) {
      for (let seen = 0; seen < kind.views; seen += VIEWS_PER_SESSION) {
        const posts = Array.from({ length: VIEWS_PER_SESSION }, () => postOf(random.integer(0, POSTS - 1)));
        if (seen === 0 && random.chance(COLD_CHANCE)) posts[0] = COLD_POST;
        yield session(userOf(kind, user), endMs - random.integer(DAY_MS, SPREAD_MS), posts);
      }
    }
  }
  for (let user = 0; user < CROWD * share; user++) {
    const crowd = { name: "crowd", users: CROWD, views: 3 };
    const posts = [postOf(random.integer(0, POSTS - 1)), HOT_POST, postOf(random.integer(0, POSTS - 1))];
    yield session(userOf(crowd, user), endMs - random.integer(10_000, DAY_MS), posts);
  }
}
