import { afterAll, beforeAll, describe, test } from "vitest";
import { type Api, startApi } from "../support/api.ts";
import { expectNothingQueued, expectRefusal, impressionOf, recordRequest } from "../support/refusals.ts";

/** Values that a client can send wrongly, and what it is told: code, status and a sentence. */

let api: Api;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

describe("recordImpressions", () => {
  const good = () => ({ userId: "u1", impressions: [impressionOf()] });

  test.each<[string, () => unknown, number, string, RegExp]>([
    [
      "no impressions",
      () => ({ ...good(), impressions: [] }),
      400,
      "BAD_USER_INPUT",
      /at least one impression/,
    ],
    [
      "501 impressions",
      () => ({ ...good(), impressions: Array.from({ length: 501 }, () => impressionOf()) }),
      413,
      "BATCH_TOO_LARGE",
      /at most 500 impressions, not 501\. Send them in several/,
    ],
    [
      "no userId",
      () => ({ impressions: [impressionOf()] }),
      400,
      "BAD_USER_INPUT",
      /^input\.userId is required/,
    ],
    ["userId null", () => ({ ...good(), userId: null }), 400, "BAD_USER_INPUT", /^input\.userId is required/],
    [
      "an empty userId",
      () => ({ ...good(), userId: "" }),
      400,
      "BAD_USER_INPUT",
      /^input\.userId must not be empty\.$/,
    ],
    [
      "a userId of 129 characters",
      () => ({ ...good(), userId: "x".repeat(129) }),
      400,
      "BAD_USER_INPUT",
      /at most 128/,
    ],
    [
      "NUL in the userId",
      () => ({ ...good(), userId: "u\u0000" }),
      400,
      "BAD_USER_INPUT",
      /control characters/,
    ],
    [
      "half a surrogate pair in the userId",
      () => ({ ...good(), userId: "u\ud800" }),
      400,
      "BAD_USER_INPUT",
      /well-formed/,
    ],
    [
      "the text null as userId",
      () => ({ ...good(), userId: "null" }),
      400,
      "BAD_USER_INPUT",
      /real id, not the text "null"/,
    ],
    [
      "a postId of 513 characters",
      () => ({ ...good(), impressions: [impressionOf(), impressionOf("p".repeat(513))] }),
      400,
      "BAD_USER_INPUT",
      /^input\.impressions\[1\]\.postId must have at most 512 characters\.$/,
    ],
    [
      "a surface of 513 characters",
      () => ({ ...good(), impressions: [{ ...impressionOf(), surface: "🛒".repeat(513) }] }),
      400,
      "BAD_USER_INPUT",
      /^input\.impressions\[0\]\.surface must have at most 512/,
    ],
    ["no list", () => ({ userId: "u1" }), 400, "BAD_USER_INPUT", /impressions/],
    [
      "a position that is a text",
      () => ({ ...good(), impressions: [{ ...impressionOf(), position: "1" }] }),
      400,
      "BAD_USER_INPUT",
      /Int cannot represent/,
    ],
    [
      "a missing postId",
      () => ({ ...good(), impressions: [{ viewedAt: "2026-11-22T10:15:30Z" }] }),
      400,
      "BAD_USER_INPUT",
      /postId/,
    ],
    [
      "a bad viewedAt",
      () => ({ ...good(), impressions: [{ postId: "p", viewedAt: "2026-02-30T10:15:30Z" }] }),
      400,
      "BAD_USER_INPUT",
      /impressions\[0\]\.viewedAt.*RFC 3339/,
    ],
    [
      "a bad sentAt",
      () => ({ ...good(), sentAt: 1_790_000_000_000 }),
      400,
      "BAD_USER_INPUT",
      /sentAt.*RFC 3339/,
    ],
    [
      "an unknown field",
      () => ({ ...good(), device: "x" }),
      400,
      "BAD_USER_INPUT",
      /"device" is not defined/,
    ],
  ])("%s", async (_name, input, status, code, message) => {
    expectRefusal(await api.post(recordRequest(input())), status, code, message);
    await expectNothingQueued(api);
  });
});

describe("arguments of queries", () => {
  test.each<[string, string, Record<string, unknown>, string, RegExp]>([
    [
      "first 0",
      '{ seenPosts(userId: "u", first: 0) { nodes { views } } }',
      {},
      "BAD_USER_INPUT",
      /^first must be from 1 to 500, not 0\./,
    ],
    [
      "first 501",
      '{ postViewers(postId: "p", first: 501) { nodes { views } } }',
      {},
      "BAD_USER_INPUT",
      /^first must be from 1 to 500, not 501\./,
    ],
    [
      "first 2,000,000,000",
      '{ seenPosts(userId: "u", first: 2000000000) { nodes { views } } }',
      {},
      "BAD_USER_INPUT",
      /^first must be/,
    ],
    [
      "first -1 of dead letters",
      "{ deadLetters(first: -1) { nodes { id } } }",
      {},
      "BAD_USER_INPUT",
      /^first must be/,
    ],
    [
      "first null",
      "query ($n: Int) { deadLetters(first: $n) { nodes { id } } }",
      { n: null },
      "BAD_USER_INPUT",
      /Argument "first" of non-null type/,
    ],
    [
      "an empty userId",
      '{ seenPosts(userId: "") { nodes { views } } }',
      {},
      "BAD_USER_INPUT",
      /^userId must not be empty/,
    ],
    [
      "NUL in a postId",
      "query ($id: ID!) { postViewers(postId: $id) { nodes { views } } }",
      { id: "p\u0000" },
      "BAD_USER_INPUT",
      /^postId must not contain control/,
    ],
    [
      "half a surrogate pair in an id",
      "query ($id: ID!) { user(id: $id) { id } }",
      { id: "\udc00" },
      "BAD_USER_INPUT",
      /^id must be well-formed/,
    ],
    [
      "a long id",
      "query ($id: ID!) { post(id: $id) { id } }",
      { id: "x".repeat(129) },
      "BAD_USER_INPUT",
      /^id must have at most 128/,
    ],
    [
      "101 users",
      "query ($ids: [ID!]!) { users(ids: $ids) { id } }",
      { ids: Array(101).fill("u") },
      "BAD_USER_INPUT",
      /^ids must hold at most 100 ids, not 101/,
    ],
    [
      "101 posts",
      "query ($ids: [ID!]!) { posts(ids: $ids) { id } }",
      { ids: Array(101).fill("p") },
      "BAD_USER_INPUT",
      /^ids must hold at most 100/,
    ],
    [
      "a bad id among users",
      "query ($ids: [ID!]!) { users(ids: $ids) { id } }",
      { ids: ["u", ""] },
      "BAD_USER_INPUT",
      /^ids\[1\] must not be empty/,
    ],
    [
      "1001 candidates",
      'query ($c: [ID!]!) { unseenPosts(userId: "u", candidates: $c) }',
      { c: Array(1001).fill("p") },
      "BAD_USER_INPUT",
      /^candidates must hold at most 1000 post ids, not 1001/,
    ],
    [
      "a bad candidate",
      'query ($c: [ID!]!) { unseenPosts(userId: "u", candidates: $c) }',
      { c: ["p", "undefined"] },
      "BAD_USER_INPUT",
      /^candidates\[1\] must be a real id/,
    ],
    [
      "minViews 0",
      '{ unseenPosts(userId: "u", candidates: [], rule: { minViews: 0 }) }',
      {},
      "BAD_USER_INPUT",
      /^rule\.minViews must be from 1/,
    ],
    [
      "a negative minViews",
      '{ unseenPosts(userId: "u", candidates: [], rule: { minViews: -2 }) }',
      {},
      "BAD_USER_INPUT",
      /^rule\.minViews/,
    ],
    [
      "a minViews that is more than are counted",
      '{ unseenPosts(userId: "u", candidates: [], rule: { minViews: 1001 }) }',
      {},
      "BAD_USER_INPUT",
      /^rule\.minViews must be from 1 to 1000, not 1001\.$/,
    ],
    [
      "a negative minDwellMs",
      '{ unseenPosts(userId: "u", candidates: [], rule: { minDwellMs: -1 }) }',
      {},
      "BAD_USER_INPUT",
      /^rule\.minDwellMs must be 0 or more/,
    ],
    [
      "a broken cursor",
      '{ seenPosts(userId: "u", after: "broken") { nodes { views } } }',
      {},
      "INVALID_CURSOR",
      /^after is not a cursor of this list\. Pass the endCursor/,
    ],
    [
      "an empty cursor",
      '{ seenPosts(userId: "u", after: "") { nodes { views } } }',
      {},
      "INVALID_CURSOR",
      /^after is not/,
    ],
    [
      "a broken cursor of dead letters",
      '{ deadLetters(after: "broken") { nodes { id } } }',
      {},
      "INVALID_CURSOR",
      /^after is not/,
    ],
    [
      "a bad user to erase",
      'mutation { eraseUser(userId: "") { id } }',
      {},
      "BAD_USER_INPUT",
      /^userId must not be empty/,
    ],
    [
      "a long id in a filter",
      "mutation ($f: DeadLetterFilter!) { discardDeadLetters(filter: $f) { done } }",
      { f: { ids: ["x".repeat(513)] } },
      "BAD_USER_INPUT",
      /^filter\.ids\[0\] must have at most 512/,
    ],
    [
      "1001 ids in a filter",
      "mutation ($f: DeadLetterFilter!) { replayDeadLetters(filter: $f) { done } }",
      { f: { ids: Array(1001).fill("x") } },
      "BAD_USER_INPUT",
      /^filter\.ids must hold at most 1000/,
    ],
    [
      "an unknown reason",
      "query ($r: DeadLetterReason) { deadLetters(reason: $r) { nodes { id } } }",
      { r: "BORED" },
      "BAD_USER_INPUT",
      /"BORED" does not exist/,
    ],
  ])("%s", async (_name, query, variables, code, message) => {
    expectRefusal(await api.post({ query, variables }), 400, code, message);
  });
});
