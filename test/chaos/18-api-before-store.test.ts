import { expect, vi } from "vitest";
import { UnseenPostsDocument } from "../../src/generated/operations.ts";
import { request } from "../kit/graphql-request.ts";
import { startSenders } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage, ownCassandra, PATIENCE, pipelineOf } from "./support/stage.ts";

scenario("18 API started with Cassandra down", async (chaos) => {
  const { ledger, random } = chaos;
  const cassandra = await ownCassandra();
  const stage = await openStage({ cassandra });
  await cassandra.nodes[0]?.kill("SIGKILL");

  const [api, worker] = [await stage.start("api"), await stage.start("worker")];
  for (const { url } of [api, worker]) expect((await fetch(`${url}/readyz`)).status).toBe(200);
  const options = { ledger, random, url: () => api.url, senders: 4, users: 20, posts: 30, lists: 200 };
  await startSenders(options).finished;
  expect(Object.keys(ledger.outcomes())).toEqual(["acknowledged"]);
  const read = await request(api.url, UnseenPostsDocument, { userId: "user-1", candidates: ["p"] });
  expect(read.status).toBe(503);
  expect(read.errors?.[0]?.extensions).toMatchObject({ code: "STORE_UNAVAILABLE" });
  expect(read.headers.get("retry-after")).toMatch(/^\d+$/);

  await cassandra.nodes[0]?.restart();
  await stage.drained();
  await vi.waitFor(async () => {
    expect(await pipelineOf(api.url)).toMatchObject({ pending: 0, deadLetters: 0, storeHealthy: true });
  }, PATIENCE);
  const figures = await ledger.check(api.url);
  expectAllStored(figures);
  chaos.report({ ...figures, redelivered: await stage.redelivered() });
});
