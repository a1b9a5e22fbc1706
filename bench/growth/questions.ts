import { PostViewersDocument, UnseenPostsDocument } from "../../src/generated/operations.ts";
import { query } from "../../test/kit/graphql-request.ts";
import { median, timeMs } from "../support/statistics.ts";
import { submissionOf, type Users } from "../support/traffic.ts";

const CANDIDATES = 100;
const PAGE = 50;

/** Asks about users and posts of the traffic, one question at a time; medians. */
export async function askQuestions(
  url: string,
  count: number,
  users: Users,
): Promise<{ readonly unseenP50Ms: number; readonly viewersP50Ms: number }> {
  const unseenMs: number[] = [];
  const viewersMs: number[] = [];
  for (let index = 0; index < count; index++) {
    const { userId } = submissionOf(index, "uniform", 0, users);
    const postOf = (number: number) => submissionOf(number, "uniform", 0).impressions[0]?.postId ?? "";
    const candidates = Array.from({ length: CANDIDATES }, (_, at) => postOf(index + at));
    unseenMs.push(await timeMs(() => query(url, UnseenPostsDocument, { userId, candidates })));
    const page = { postId: postOf(index), first: PAGE };
    viewersMs.push(await timeMs(() => query(url, PostViewersDocument, page)));
  }
  return { unseenP50Ms: median(unseenMs), viewersP50Ms: median(viewersMs) };
}
