import { expect, onTestFinished, test } from "vitest";
import {
  PipelineDocument,
  RecordImpressionsDocument,
  SeenPostsDocument,
} from "../../src/generated/operations.ts";
import { createTemporaryDirectory } from "../support/directory.ts";
import { query, request } from "../support/graphql-request.ts";
import { createRandom, type Random } from "../support/random.ts";
import { type ServiceProcess, startServiceProcess } from "../support/service-process.ts";
import { walkPostViewers, walkSeenPosts } from "../support/walks.ts";

const CRASHES = 20;
const SENDERS = 12;
const USERS = 40;
const POSTS = 60;

/** What was acknowledged, by user and post: the instants, written down outside the system. */
type Ledger = Map<string, Map<string, Set<string>>>;

test("every acknowledged impression survives 20 kill -9 under load, none is there twice", async () => {
  const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
  console.info(`CRASH_SEED=${seed}`);
  const random = createRandom(seed);
  const directory = createTemporaryDirectory();
  onTestFinished(directory.remove);
  const DATA_DIR = directory.path;
  const acknowledged: Ledger = new Map();
  let mutations = 0;
  let running: ServiceProcess | undefined;
  onTestFinished(async () => void (await running?.kill("SIGKILL")));

  for (let crash = 0; crash < CRASHES; crash++) {
    const service = await startServiceProcess({ DATA_DIR, WORKERS: "2", LOG_LEVEL: "info" });
    running = service;
    // Death comes after a random number of acknowledgements, at a random point of what goes on then.
    let left = random.integer(1, 60);
    const senders = Array.from({ length: SENDERS }, async () => {
      for (;;) {
        const impressions = randomImpressions(random);
        const userId = `user-${random.integer(1, USERS)}`;
        const answer = await request(service.url, RecordImpressionsDocument, {
          input: { userId, impressions },
        }).catch(() => null);
        if (answer === null) return;
        if (answer.data == null) throw new Error(`refused: ${JSON.stringify(answer.errors)}`);
        mutations++;
        note(acknowledged, userId, impressions);
        if (--left === 0) void service.kill("SIGKILL");
      }
    });
    await Promise.all(senders);
    expect((await service.kill("SIGKILL")).signal).toBe("SIGKILL");
  }
  expect(mutations).toBeGreaterThanOrEqual(CRASHES);

  running = await startServiceProcess({ DATA_DIR });
  const { url } = running;
  await expect
    .poll(async () => (await query(url, PipelineDocument, {})).pipeline.pending, { timeout: 60_000 })
    .toBe(0);
  expect((await query(url, PipelineDocument, {})).pipeline.deadLetters).toBe(0);

  const viewers = new Map<string, Set<string>>();
  for (const [userId, posts] of acknowledged) {
    const seen = await walkSeenPosts(url, userId, 25);
    expect(new Set(seen.map(({ post }) => post.id)).size, "a post twice").toBe(seen.length);
    const views = new Map(seen.map(({ post, views }) => [post.id, views]));
    for (const [postId, instants] of posts) {
      // What was sent but not acknowledged may be there too: at least the acknowledged views, each once.
      expect(views.get(postId), `${userId} ${postId}`).toBeGreaterThanOrEqual(instants.size);
      viewers.set(postId, (viewers.get(postId) ?? new Set()).add(userId));
    }
    for (const instant of instantsOf(posts)) {
      const views = await viewsAt(url, userId, instant.postId, instant.viewedAt);
      expect(views, `${userId} ${instant.postId} ${instant.viewedAt}`).toBe(1);
    }
  }
  for (const [postId, users] of viewers) {
    const found = (await walkPostViewers(url, postId, 25)).map(({ user }) => user.id);
    expect(new Set(found).size, "a viewer twice").toBe(found.length);
    expect(found).toEqual(expect.arrayContaining([...users]));
  }

  const ended = await running.kill("SIGTERM");
  expect(ended).toEqual({ code: 0, signal: null });
});

function randomImpressions(random: Random) {
  const nowMs = Date.now();
  return Array.from({ length: random.integer(1, 12) }, () => ({
    postId: `post-${random.integer(1, POSTS)}`,
    viewedAt: new Date(nowMs - random.integer(0, 3_600_000)).toISOString(),
  }));
}

function note(
  ledger: Ledger,
  userId: string,
  impressions: readonly { postId: string; viewedAt: string }[],
): void {
  const posts = ledger.get(userId) ?? new Map<string, Set<string>>();
  ledger.set(userId, posts);
  for (const { postId, viewedAt } of impressions)
    posts.set(postId, (posts.get(postId) ?? new Set()).add(viewedAt));
}

/** A sample: the last instant of each post. */
function instantsOf(posts: ReadonlyMap<string, ReadonlySet<string>>) {
  return [...posts].map(([postId, instants]) => ({ postId, viewedAt: [...instants].at(-1) ?? "" }));
}

/** How many views there are of this post by this user in this very millisecond. */
async function viewsAt(url: string, userId: string, postId: string, viewedAt: string): Promise<number> {
  const until = new Date(Date.parse(viewedAt) + 1).toISOString();
  const { seenPosts } = await query(url, SeenPostsDocument, { userId, first: 500, since: viewedAt, until });
  return seenPosts.nodes.find(({ post }) => post.id === postId)?.views ?? 0;
}
