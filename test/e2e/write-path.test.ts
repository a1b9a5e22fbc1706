import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  DeadLettersDocument,
  DiscardDeadLettersDocument,
  EraseUserDocument,
  ErasureDocument,
  PipelineDocument,
  PostViewersDocument,
  RecordImpressionsDocument,
  ReplayDeadLettersDocument,
  SeenPostsDocument,
  UnseenPostsDocument,
} from "../../src/generated/operations.ts";
import { query } from "../kit/graphql-request.ts";
import type { ServiceProcess } from "../kit/service-process.ts";
import { createEmbeddedInstallation, type EmbeddedInstallation } from "../support/embedded-installation.ts";

/** The mission in one process: mutation, queue, workers, store, reads, on the built service. */
describe("from the mutation to the reads", () => {
  let installation: EmbeddedInstallation;
  let service: ServiceProcess;

  beforeAll(async () => {
    // An erasure waits as long as a mutation may be on its way, so a short way makes a short test.
    installation = createEmbeddedInstallation({ PUBLISH_TIMEOUT_MS: "500" });
    service = await installation.start();
  });

  afterAll(() => installation.dispose());

  const record = (userId: string, impressions: { postId: string; viewedAt: string; position?: number }[]) =>
    query(service.url, RecordImpressionsDocument, { input: { userId, impressions } });
  const settled = () =>
    expect
      .poll(async () => (await query(service.url, PipelineDocument, {})).pipeline.pending, {
        timeout: 60_000,
      })
      .toBe(0);
  const unseen = async (userId: string, candidates: string[]) =>
    (await query(service.url, UnseenPostsDocument, { userId, candidates })).unseenPosts;
  const letters = async () =>
    (await query(service.url, DeadLettersDocument, { first: 500 })).deadLetters.nodes;
  const now = () => new Date().toISOString();
  const ago = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();

  test("bad impressions of a good list are dead-lettered alone, each with its reason", async () => {
    const { recordImpressions } = await record("u1", [
      { postId: "good-1", viewedAt: now() },
      { postId: "null", viewedAt: now() },
      { postId: "x".repeat(129), viewedAt: now() },
      { postId: "bad position", viewedAt: now(), position: -1 },
      { postId: "tomorrow", viewedAt: ago(-1) },
      { postId: "long ago", viewedAt: ago(91) },
      { postId: "half a pair \ud83d", viewedAt: now() },
      { postId: "good-2", viewedAt: ago(89) },
    ]);
    expect(recordImpressions.accepted).toBe(8);
    await settled();
    expect(await unseen("u1", ["good-1", "good-2", "bad position", "tomorrow", "long ago"])).toEqual([
      "bad position",
      "tomorrow",
      "long ago",
    ]);
    expect((await letters()).map(({ reason }) => reason).sort()).toEqual([
      "INVALID_FIELD",
      "INVALID_POST_ID",
      "INVALID_POST_ID",
      "INVALID_POST_ID",
      "OLDER_THAN_RETENTION",
      "VIEWED_IN_FUTURE",
    ]);
  });

  test("replaying dead letters that are still bad gives the same dead letters, and a dry run changes nothing", async () => {
    const before = await letters();
    const filter = { reason: "INVALID_FIELD" as const };
    const dry = await query(service.url, ReplayDeadLettersDocument, { filter, dryRun: true });
    expect(dry.replayDeadLetters).toMatchObject({ matched: 1, done: 0 });
    expect(await letters()).toEqual(before);

    const { replayDeadLetters } = await query(service.url, ReplayDeadLettersDocument, {
      filter,
      dryRun: false,
    });
    expect(replayDeadLetters).toMatchObject({ matched: 1, done: 1 });
    await settled();
    const after = await letters();
    expect(after).toHaveLength(before.length);
    const pick = (all: typeof before) => all.find(({ reason }) => reason === "INVALID_FIELD");
    expect(pick(after)?.payload).toEqual(pick(before)?.payload);
    expect(pick(after)?.id).not.toBe(pick(before)?.id);
  });

  test("discarding takes away what the filter matches and nothing else", async () => {
    const before = await letters();
    const filter = { reason: "INVALID_POST_ID" as const };
    const { discardDeadLetters } = await query(service.url, DiscardDeadLettersDocument, {
      filter,
      dryRun: false,
    });
    expect(discardDeadLetters).toMatchObject({ matched: 3, done: 3 });
    expect(await letters()).toEqual(before.filter(({ reason }) => reason !== "INVALID_POST_ID"));
  });

  test("resending changes nothing; a later view moves the post to the front and counts", async () => {
    const first = { postId: "a", viewedAt: ago(2) };
    await record("u2", [first, { postId: "b", viewedAt: ago(1) }]);
    await record("u2", [first]);
    await settled();
    const seen = async () =>
      (await query(service.url, SeenPostsDocument, { userId: "u2" })).seenPosts.nodes.map(
        ({ post, views }) => [post.id, views],
      );
    expect(await seen()).toEqual([
      ["b", 1],
      ["a", 1],
    ]);
    await record("u2", [{ postId: "a", viewedAt: now() }]);
    await settled();
    expect(await seen()).toEqual([
      ["a", 2],
      ["b", 1],
    ]);
  });

  test("an erased user is gone from every read, with the dead letters and the receipt to show for it", async () => {
    await record("gone", [
      { postId: "e1", viewedAt: now() },
      { postId: "e2", viewedAt: now() },
      { postId: "NaN", viewedAt: now() },
    ]);
    await record("stays", [{ postId: "e1", viewedAt: now() }]);
    const { eraseUser } = await query(service.url, EraseUserDocument, { userId: "gone" });
    await expect
      .poll(async () => (await query(service.url, ErasureDocument, { id: eraseUser.id })).erasure, {
        timeout: 60_000,
      })
      .toMatchObject({
        userId: expect.stringMatching(/^hash:[0-9a-f]{32}$/),
        status: "DONE",
        rowsDeleted: 2,
      });
    expect(await unseen("gone", ["e1", "e2"])).toEqual(["e1", "e2"]);
    const { postViewers } = await query(service.url, PostViewersDocument, { postId: "e1" });
    expect(postViewers.nodes.map(({ user }) => user.id)).toEqual(["stays"]);
    expect(JSON.stringify(await letters())).not.toContain("gone");
  });

  test("a stop by SIGTERM is clean, and everything acknowledged is there after the restart", async () => {
    const acknowledged: string[] = [];
    let stopped: ReturnType<ServiceProcess["kill"]> | undefined;
    const senders = Array.from({ length: 8 }, async (_, sender) => {
      for (let index = 0; ; index++) {
        const postId = `s${sender}-${index}`;
        try {
          await record("u3", [{ postId, viewedAt: now() }]);
        } catch {
          expect(stopped, "a mutation failed before the stop").toBeDefined();
          return;
        }
        acknowledged.push(postId);
        if (acknowledged.length >= 400) stopped ??= service.kill("SIGTERM");
      }
    });
    await Promise.all(senders);
    expect(await stopped).toEqual({ code: 0, signal: null });

    service = await installation.start();
    await settled();
    for (let start = 0; start < acknowledged.length; start += 1_000) {
      expect(await unseen("u3", acknowledged.slice(start, start + 1_000))).toEqual([]);
    }
  });
});
