import { print } from "graphql";
import { systemClock } from "../../src/domain/time.ts";
import {
  PostViewersDocument,
  SeenPostsDocument,
  UnseenPostsDocument,
} from "../../src/generated/operations.ts";
import type { ImpressionStore } from "../../src/ports/impression-store.ts";
import { createRandom, type Random } from "../../test/kit/random.ts";
import { EVERYTHING } from "../../test/kit/views.ts";
import { HOT_POST, POSTS, postId, userId } from "./dataset.ts";

/**
 * Who is asked: the service, the service as built in another checkout (where one is given), a bare route around the store
 * (bare-route.ts), the database itself.
 */
export type Contestant = "graphql" | "before" | "bare" | "cql";

/** One question, as a GraphQL request body and as the call of the store that answers it. */
export interface Question {
  readonly body: string;
  ask(store: ImpressionStore): Promise<unknown>;
}

export interface Scenario {
  readonly name: string;
  question(random: Random, users: number): Question;
}

const PAGE = 50;
const RETENTION_MS = 90 * 86_400_000;

const seenPosts: Scenario = {
  name: "seenPosts, page of 50",
  question(random, users) {
    const ownerId = userId(random.integer(0, users - 1));
    return {
      body: bodyOf(print(SeenPostsDocument), { userId: ownerId, first: PAGE }),
      ask: (store) => store.seenPosts({ ownerId, window: EVERYTHING, after: null, limit: PAGE }),
    };
  },
};

const unseenPosts = (count: number): Scenario => ({
  name: `unseenPosts, ${count} candidates`,
  question(random, users) {
    const user = userId(random.integer(0, users - 1));
    const start = random.integer(0, POSTS - 1);
    const candidates = Array.from({ length: count }, (_, index) => postId((start + index * 7) % POSTS));
    return {
      body: bodyOf(print(UnseenPostsDocument), { userId: user, candidates }),
      ask: (store) =>
        store.seenAmong(user, candidates, {
          minViews: 1,
          minDwellMs: 0,
          sinceMs: systemClock.nowMs() - RETENTION_MS,
        }),
    };
  },
});

const postViewers = (name: string, postOf: (random: Random) => string): Scenario => ({
  name,
  question(random) {
    const ownerId = postOf(random);
    return {
      body: bodyOf(print(PostViewersDocument), { postId: ownerId, first: PAGE }),
      ask: (store) => store.postViewers({ ownerId, window: EVERYTHING, after: null, limit: PAGE }),
    };
  },
});

export const SCENARIOS: readonly Scenario[] = [
  seenPosts,
  unseenPosts(100),
  unseenPosts(500),
  unseenPosts(1_000),
  postViewers("postViewers, cold post, page of 50", (random) => postId(random.integer(0, POSTS - 1))),
  postViewers("postViewers, hot post, page of 50", () => HOT_POST),
];

/** The same questions for both contestants and every round. */
export function questionsOf({ question }: Scenario, users: number, count: number): Question[] {
  const random = createRandom(20_261);
  return Array.from({ length: count }, () => question(random, users));
}

function bodyOf(query: string, variables: Record<string, unknown>): string {
  return JSON.stringify({ query, variables });
}
