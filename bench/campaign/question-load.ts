import { setTimeout as sleep } from "node:timers/promises";
import { UnseenPostsDocument } from "../../src/generated/operations.ts";
import { query } from "../../test/kit/graphql-request.ts";
import { postId, userId } from "../reads/dataset.ts";

const CANDIDATES = 100;
const BETWEEN_QUESTIONS_MS = 40;

/** A question and how long its answer took. */
export interface Asked {
  /** When it was asked, from the start. */
  readonly atMs: number;
  readonly tookMs: number;
}

/** Asks `unseenPosts` for stored users, one question after the other, until `done` settles. */
export async function askWhile(url: string, users: number, done: Promise<unknown>): Promise<Asked[]> {
  const asked: Asked[] = [];
  let over = false;
  void done
    .catch(() => undefined)
    .finally(() => {
      over = true;
    });
  const startMs = performance.now();
  for (let index = 0; !over; index++) {
    const candidates = Array.from({ length: CANDIDATES }, (_, at) => postId((index * 13 + at * 7) % 5_000));
    const atMs = performance.now() - startMs;
    await query(url, UnseenPostsDocument, { userId: userId((index * 31) % users), candidates });
    asked.push({ atMs, tookMs: performance.now() - startMs - atMs });
    await sleep(BETWEEN_QUESTIONS_MS);
  }
  return asked;
}
