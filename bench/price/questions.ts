import { Agent, request } from "node:http";
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";
import {
  PostViewersDocument,
  SeenPostsDocument,
  UnseenPostsDocument,
  UnseenPostsForUsersDocument,
} from "../../src/generated/operations.ts";
import { createRandom, type Random } from "../../test/kit/random.ts";
import { median, timeMs } from "../support/statistics.ts";
import { CLASSES, type Class, COLD_POST, HOT_POST, POSTS, postOf, userOf } from "./history.ts";

const PAGE = 50;

/** A question, and by how much of the time before it is to be answered. */
export interface Question {
  readonly name: string;
  readonly target: number;
  readonly floor: number;
  /** The body of one such request. */
  body(random: Random, share: number): string;
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
  body: (random, share) =>
    bodyOf(UnseenPostsDocument, {
      userId: someone(random, CLASSES.many, share),
      candidates: candidatesOf(random, candidates),
    }),
});

const seenPosts = (kind: Class, target: number, floor: number): Question => ({
  name: `seenPosts, page of ${PAGE}: ${kind.views} views`,
  target,
  floor,
  body: (random, share) => bodyOf(SeenPostsDocument, { userId: someone(random, kind, share), first: PAGE }),
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
  body: (random) => bodyOf(PostViewersDocument, { postId: postIdOf(random), first: PAGE }),
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
    body: (random, share) =>
      bodyOf(UnseenPostsForUsersDocument, {
        userIds: Array.from({ length: 100 }, () => someone(random, CLASSES.few, share)),
        candidates: candidatesOf(random, 500),
      }),
  },
];

function bodyOf<Variables>(document: TypedDocumentNode<unknown, Variables>, variables: Variables): string {
  return JSON.stringify({ query: print(document), variables });
}

/** One connection to each server, which is kept: fetch would add half a millisecond to every request. */
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** Asks a question so often, one after the other, the same ones for the same seed. @returns the median, in milliseconds. */
export async function medianMs(
  question: Question,
  url: string,
  options: { readonly times: number; readonly seed: number; readonly share: number },
): Promise<number> {
  const random = createRandom(options.seed);
  const bodies = Array.from({ length: options.times }, () => question.body(random, options.share));
  const tookMs: number[] = [];
  for (const body of bodies) tookMs.push(await timeMs(() => post(url, body)));
  return median(tookMs);
}

/** @throws the answer, where it is an error. */
function post(url: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { method: "POST", agent, headers: { "content-type": "application/json" } };
    const sent = request(new URL("/graphql", url), options, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        if (answer.statusCode === 200 && !text.startsWith('{"errors"')) resolve();
        else reject(new Error(text));
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
