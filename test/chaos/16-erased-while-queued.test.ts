import { expect, vi } from "vitest";
import { EraseUserDocument, ErasureDocument } from "../../src/generated/operations.ts";
import { query } from "../kit/graphql-request.ts";
import { walkSeenPosts } from "../kit/walks.ts";
import { createLedger, type SentImpression, walkDeadLetters } from "../support/ledger.ts";
import { startSenders } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage, PATIENCE } from "./support/stage.ts";

const NOTHING = { user_packs: 0, viewers_by_post: 0 };
const ERASED = "erased-user";

scenario("16 erased while queued: stays gone, and a later view is a new one", async (chaos) => {
  const { ledger, random, sized } = chaos;
  // An erasure waits as long as a mutation may be on its way: a short way makes a short test.
  const stage = await openStage({ environment: { PUBLISH_TIMEOUT_MS: "1000" } });
  const { url } = await stage.start("api");
  const forgotten = createLedger();
  const sendErased = async (...parts: Parameters<typeof listOf>) =>
    expect((await forgotten.send(url, ERASED, listOf(...parts))).outcome).toBe("acknowledged");
  const lists = sized({ short: 30, full: 400 });
  const sendOthers = () =>
    startSenders({ ledger, random, url: () => url, senders: 4, users: 20, posts: 40, lists }).finished;

  // Some are stored and one is a dead letter when the erasure is asked for, and some are queued.
  await sendErased(0, 30);
  await sendErased(30, 1, "null");
  await sendOthers();
  const first = await stage.start("worker");
  await stage.drained();
  expect(await first.kill("SIGTERM")).toMatchObject({ code: 0 });
  expect(await stage.rowsOf(ERASED)).toMatchObject({ user_packs: 1, viewers_by_post: 30 });
  expect(await walkDeadLetters(url)).toHaveLength(1);
  await sendErased(100, 30);
  await sendErased(130, 1, "null");
  await sendOthers();
  const { eraseUser } = await query(url, EraseUserDocument, { userId: ERASED });
  expect(eraseUser.status).toBe("WAITING_FOR_QUEUE");

  await stage.start("worker");
  await vi.waitFor(async () => {
    const { erasure } = await query(url, ErasureDocument, { id: eraseUser.id });
    expect(erasure?.status).toBe("DONE");
  }, PATIENCE);
  await stage.drained();
  expect(await stage.rowsOf(ERASED)).toEqual(NOTHING);
  expect(await walkSeenPosts(url, ERASED)).toEqual([]);
  expect(await walkDeadLetters(url)).toEqual([]);
  const figures = await ledger.check(url);
  expectAllStored(figures);

  // The very same views, sent again later, are new ones.
  await sendErased(0, 30);
  await stage.drained();
  expect((await walkSeenPosts(url, ERASED)).length).toBe(30);
  chaos.report({ ...figures, erased: forgotten.acknowledged() });
});

const VIEWED_AT_MS = Date.now() - 3_600_000;

function listOf(from: number, count: number, postId?: string): SentImpression[] {
  return Array.from({ length: count }, (_, index) => ({
    postId: postId ?? `post-${from + index}`,
    viewedAt: new Date(VIEWED_AT_MS + from + index).toISOString(),
  }));
}
