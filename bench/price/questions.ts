import {
  PostViewersDocument,
  SeenPostsDocument,
  UnseenPostsDocument,
  UnseenPostsForUsersDocument,
} from "../../src/generated/operations.ts";
import { query } from "../../test/kit/graphql-request.ts";
import { createRandom, type Random } from "../../test/kit/random.ts";
import { median, timeMs } from "../support/statistics.ts";
import { CLASSES, type Class, COLD_POST, HOT_POST, POSTS, postOf, userOf } from "./history.ts";

const PAGE = 50;

/** A question, and by how much of the time before it is to be answered. */
export interface Question {
  readonly name: string;
  readonly target: number;
  readonly floor: number;
  ask(url: string, random: Random, share: number): Promise<unknown>;
}

const someone = (random: Random, kind: Class, share: number) =>
  userOf(kind, random.integer(0, Math.ceil(kind.users * share) - 1));
const candidatesOf = (random: Random, count: number) => {
  const start = random.integer(0, POSTS - 1);
  return Array.from({ length: count }, (_, index) => postOf((start + index * 7) % POSTS));
};

const unseenPosts = (candidates: number, target: number, floor: number): Question => ({
  name: `unseenPosts, 1,000 views: ${candidates} candidates`,
  target,
  floor,
  ask: (url, random, share) =>
    query(url, UnseenPostsDocument, {
      userId: someone(random, CLASSES.many, share),
      candidates: candidatesOf(random, candidates),
    }),
});

const seenPosts = (kind: Class, target: number, floor: number): Question => ({
  name: `seenPosts, page of ${PAGE}: ${kind.views} views`,
  target,
  floor,
  ask: (url, random, share) =>
    query(url, SeenPostsDocument, { userId: someone(random, kind, share), first: PAGE }),
});

const postViewers = (
  name: string,
  postIdOf: (random: Random) => string,
  target: number,
  floor: number,
): Question => ({
  name: `postViewers with views, page of ${PAGE}: ${name}`,
  target,
  floor,
  ask: (url, random) => query(url, PostViewersDocument, { postId: postIdOf(random), first: PAGE }),
});

export const QUESTIONS: readonly Question[] = [
  unseenPosts(100, 1, 1.2),
  unseenPosts(500, 0.6, 0.75),
  unseenPosts(1_000, 0.5, 0.65),
  seenPosts(CLASSES.few, 0.5, 0.7),
  seenPosts(CLASSES.many, 0.6, 0.8),
  seenPosts(CLASSES.most, 1, 1.15),
  postViewers("rare post", (random) => postOf(random.integer(0, POSTS - 1)), 0.9, 1),
  postViewers("cold post", () => COLD_POST, 1.15, 1.4),
  postViewers("hot post", () => HOT_POST, 1.2, 1.4),
  {
    name: "unseenPosts, 100 users of 100 views: 500 candidates",
    target: 0.5,
    floor: 0.7,
    ask: (url, random, share) =>
      query(url, UnseenPostsForUsersDocument, {
        userIds: Array.from({ length: 100 }, () => someone(random, CLASSES.few, share)),
        candidates: candidatesOf(random, 500),
      }),
  },
];

/** Asks a question so often, one after the other, the same ones for the same seed. @returns the median, in milliseconds. */
export async function medianMs(
  question: Question,
  url: string,
  options: { readonly times: number; readonly seed: number; readonly share: number },
): Promise<number> {
  const random = createRandom(options.seed);
  const tookMs: number[] = [];
  for (let index = 0; index < options.times; index++) {
    tookMs.push(await timeMs(() => question.ask(url, random, options.share)));
  }
  return median(tookMs);
}
