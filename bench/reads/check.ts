// node bench/reads/check.ts URL [--impressions 2000000] [--requests 20]
//
// Asks a running service on the loaded store about 100 users and 500 candidates in one request, some times over, and holds
// each answer against what the data set says. Ends with 1 at the first wrong one.

import { parseArgs } from "node:util";
import { UnseenPostsForUsersDocument } from "../../src/generated/operations.ts";
import { query } from "../../test/kit/graphql-request.ts";
import { createRandom } from "../../test/kit/random.ts";
import { POSTS, postId, userId, VIEWS_PER_USER, viewsOf } from "./dataset.ts";

const USERS = 100;
const CANDIDATES = 500;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    impressions: { type: "string", default: "2000000" },
    requests: { type: "string", default: "20" },
  },
});
const [url] = positionals;
if (url === undefined) throw new Error("say which service: node bench/reads/check.ts http://127.0.0.1:4000");
const users = Math.ceil(Number(values.impressions) / VIEWS_PER_USER);
const random = createRandom(20_262);
const latenciesMs: number[] = [];
let unseen = 0;

for (let request = 0; request < Number(values.requests); request++) {
  const asked = Array.from({ length: USERS }, () => random.integer(0, users - 1));
  const start = random.integer(0, POSTS - 1);
  const candidates = Array.from({ length: CANDIDATES }, (_, index) => postId((start + index * 7) % POSTS));
  const startedMs = performance.now();
  const answer = await query(url, UnseenPostsForUsersDocument, { userIds: asked.map(userId), candidates });
  latenciesMs.push(performance.now() - startedMs);
  for (const [index, user] of asked.entries()) {
    // When the posts were seen does not matter here: all of it is within the retention.
    const seen = new Set(viewsOf(user, 0).map((view) => view.postId));
    const expected = candidates.filter((candidate) => !seen.has(candidate));
    const given = answer.users[index]?.unseenPosts ?? [];
    unseen += given.length;
    if (given.join() === expected.join()) continue;
    console.error(`${userId(user)}: ${given.length} of the candidates unseen, ${expected.length} expected`);
    process.exit(1);
  }
}
latenciesMs.sort((a, b) => a - b);
console.log(
  `${values.requests} requests of ${USERS} users x ${CANDIDATES} candidates are right (${unseen} unseen posts given); ` +
    `median ${latenciesMs[Math.floor(latenciesMs.length / 2)]?.toFixed(0)} ms, slowest ${latenciesMs.at(-1)?.toFixed(0)} ms`,
);
