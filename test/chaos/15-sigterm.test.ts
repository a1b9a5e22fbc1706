import { expect, vi } from "vitest";
import { decodeMessage } from "../../src/domain/queue-message.ts";
import { SeenPostsDocument } from "../../src/generated/operations.ts";
import { query } from "../support/graphql-request.ts";
import { startSenders } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage, PATIENCE, type Stage } from "./support/stage.ts";

/** Each way, of each of the few writes that a message takes one after the other. */
const STORE_LATENCY_MS = 100;
const STOPPED = { code: 0, signal: null };

scenario("15 SIGTERM under load: exit 0, nothing redelivered that was stored", async (chaos) => {
  const { ledger, random, sized } = chaos;
  const stage = await openStage();
  let api = await stage.start("api");
  // No two lists of one user show the same post: what is stored tells which lists are.
  const lists = sized({ short: 300, full: 3_000 });
  await startSenders({ ledger, random, url: () => api.url, senders: 8, users: 200, posts: 100_000, lists })
    .finished;
  const queued = (await stage.stream()).state.messages;
  // A store so slow that the signal comes in the middle.
  const proxy = await stage.cqlProxy();
  proxy.setLatency(STORE_LATENCY_MS);
  const worker = await stage.start("worker", { WORKER_PULL: "10", SCYLLA_CONTACT_POINTS: proxy.address });
  await vi.waitFor(async () => expect((await stage.stream()).state.messages).toBeLessThan(queued), PATIENCE);
  expect(await worker.kill("SIGTERM")).toEqual(STOPPED);
  const left = (await stage.stream()).state.messages;
  expect(left).toBeGreaterThan(0);
  expect(await storedMessages(stage, api.url)).toEqual([]);

  // The API the same: what it has taken it answers, and what it answered is there.
  const senders = startSenders({ ledger, random, url: () => api.url, senders: 8, users: 50, posts: 100 });
  const enough = ledger.acknowledged() + 200;
  await vi.waitFor(() => expect(ledger.acknowledged()).toBeGreaterThan(enough), PATIENCE);
  const ended = await api.kill("SIGTERM");
  api = await stage.start("api");
  await senders.stop();
  expect(ended).toEqual(STOPPED);

  const other = await stage.start("worker");
  await stage.drained();
  expect(await other.kill("SIGTERM")).toEqual(STOPPED);
  const figures = await ledger.check(api.url);
  expectAllStored(figures);
  chaos.report({ ...figures, messages: queued, leftBySigterm: left, mutations: ledger.outcomes() });
});

/** Sequences of messages that are still in the queue although everything in them is stored. */
async function storedMessages(stage: Stage, url: string): Promise<number[]> {
  const { first_seq: first, last_seq: last, messages } = (await stage.stream()).state;
  const stored: number[] = [];
  for (let seq = first; messages > 0 && seq <= last; seq++) {
    const found = await stage.manager.streams.getMessage(stage.names.stream, { seq }).catch(() => null);
    if (found === null) continue;
    const message = decodeMessage(found.data);
    if (message.kind !== "message") throw new Error(message.detail);
    const seen = await Promise.all(
      message.submissions.flatMap(({ userId, impressions }) =>
        impressions.map(async ({ postId, viewedAtMs }) => {
          const since = new Date(Number(viewedAtMs)).toISOString();
          const until = new Date(Number(viewedAtMs) + 1).toISOString();
          const window = { userId: String(userId), first: 500, since, until };
          const { seenPosts } = await query(url, SeenPostsDocument, window);
          return seenPosts.nodes.some(({ post }) => post.id === postId);
        }),
      ),
    );
    if (seen.every(Boolean)) stored.push(seq);
  }
  return stored;
}
