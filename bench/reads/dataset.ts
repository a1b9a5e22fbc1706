import type { View } from "../../src/domain/impression.ts";
import { createRandom } from "../../test/kit/random.ts";

/** The views that the bench reads: a function of the numbers here, so that a load and a measurement agree on them. */

export const POSTS = 5_000;
export const VIEWS_PER_USER = 100;
/** Every user has seen this one, in its own hour. */
export const HOT_POST = "hot";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const SPREAD_MS = 20 * DAY_MS;

export const userId = (index: number) => `user-${String(index).padStart(7, "0")}`;
export const postId = (index: number) => `post-${String(index).padStart(6, "0")}`;

/** All views of one user. @param endMs everything was seen before it. */
export function viewsOf(user: number, endMs: number): View[] {
  const random = createRandom(user + 1);
  return Array.from({ length: VIEWS_PER_USER }, (_, index): View => {
    const isHot = index === 0;
    const viewedAtMs = endMs - random.integer(1, isHot ? HOUR_MS : SPREAD_MS);
    return {
      userId: userId(user),
      postId: isHot ? HOT_POST : postId(random.integer(0, POSTS - 1)),
      viewedAtMs,
      receivedAtUs: viewedAtMs * 1_000,
      surface: "HOME",
      position: index,
      dwellMs: random.integer(0, 10_000),
    };
  });
}
