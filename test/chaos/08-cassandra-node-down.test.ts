import { expect, vi } from "vitest";
import { UnseenPostsDocument } from "../../src/generated/operations.ts";
import { query } from "../kit/graphql-request.ts";
import { startSenders } from "../support/senders.ts";
import { scenario } from "./support/scenario.ts";
import { expectAllStored, openStage, ownCassandra, PATIENCE, pipelineOf } from "./support/stage.ts";

const BURST = 300;

scenario("08 one of three Cassandra nodes down: no interruption at LOCAL_QUORUM", async (chaos) => {
  const { ledger, random } = chaos;
  const cassandra = await ownCassandra({ nodes: 3 });
  const stage = await openStage({ cassandra });
  const { url } = await stage.start("api");
  await stage.start("worker");
  const senders = startSenders({ ledger, random, url: () => url, senders: 4, users: 40, posts: 60 });
  await acknowledgedMore();
  const down = random.pick(cassandra.nodes);
  await down.kill("SIGKILL");
  // Nothing is refused from now on, and what was queued is stored, with the node still down.
  const { last_seq: last } = (await stage.stream()).state;
  await acknowledgedMore();
  await query(url, UnseenPostsDocument, { userId: "user-1", candidates: ["post-1"] });
  await vi.waitFor(async () => {
    const { messages, first_seq: first } = (await stage.stream()).state;
    expect(messages === 0 || first > last).toBe(true);
  }, PATIENCE);
  await acknowledgedMore();
  await senders.stop();
  await stage.drained();
  expect(Object.keys(ledger.outcomes())).toEqual(["acknowledged"]);
  expect(await pipelineOf(url)).toMatchObject({ deadLetters: 0 });
  // Until the others know that it is down, a read that chose it takes longer than the 2 s of a look at the store's health.
  await vi.waitFor(
    async () => expect(await pipelineOf(url)).toMatchObject({ storeHealthy: true, deadLetters: 0 }),
    PATIENCE,
  );
  const figures = await ledger.check(url);
  expectAllStored(figures);

  await down.restart();
  await cassandra.ready();
  expectAllStored(await ledger.check(url));
  chaos.report({ ...figures, redelivered: await stage.redelivered() });

  async function acknowledgedMore(): Promise<void> {
    const enough = ledger.acknowledged() + BURST;
    await vi.waitFor(() => expect(ledger.acknowledged()).toBeGreaterThan(enough), PATIENCE);
  }
});
